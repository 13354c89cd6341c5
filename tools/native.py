"""Compiles the kernels of the dataset engine; `make setup` calls it, and so does whoever changed a C file."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets_app.engine.native import compiling  # noqa: E402

if __name__ == "__main__":
    print(compiling.ensure(ROOT / "datasets_app" / "engine" / "native").name)
