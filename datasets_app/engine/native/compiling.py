"""From C sources to a shared library that carries their digest in its name."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fno-math-errno", "-Wall", "-Wextra", "-Wno-unused-parameter")


def ensure(folder: Path) -> Path:
    """Compile unless a library of exactly these sources is there; safe with several processes at once."""
    built = folder / "_built"
    target = built / f"kernels-{digest(folder)}.so"
    if target.exists():
        return target
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("A C compiler (cc, gcc or clang) is needed to read datasets; none was found.")
    built.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built) as aside:
        made = Path(aside) / target.name
        sources = [str(path) for path in sorted(folder.glob("*.c"))]
        command = [*compiler.split(), *FLAGS, "-o", str(made), *sources, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"The kernels could not be compiled: {done.stderr[-2000:]}")
        made.replace(target)
    return target


def digest(folder: Path) -> str:
    whole = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted([*folder.glob("*.c"), *folder.glob("*.h")]):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]
