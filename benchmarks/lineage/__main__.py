"""make bench-lineage NODES=10000: impact and graph page of a large project, on SQLite and on PostgreSQL.

The last line is one JSON object: the slower database's {"impact_ms", "graph_page_ms"}, the number of nodes, and all
figures of both under "by_database".
"""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from tools.test import postgres_url

LIMITS = {"impact_ms": 200.0, "graph_page_ms": 500.0}


def measure(name: str, url: str) -> dict[str, Any]:
    """In a process of its own, since settings are read once."""
    with tempfile.TemporaryDirectory(prefix="luthier-lineage-") as folder:
        given = {"DATABASE_URL": url, "LUTHIER_DATA": folder, "DEBUG": "", "SECRET_KEY": "of-a-benchmark-" * 4}
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.lineage.one"],
            env=os.environ | given,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = json.loads(said.stdout.splitlines()[-1])
    print(f"{name}: {json.dumps(found)}", flush=True)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {"sqlite": measure("sqlite", f"sqlite:///{folder}/lineage.sqlite3")}
    with postgres_url() as server:
        from benchmarks.metrics.scratch import database

        with database(server) as url:
            found["postgres"] = measure("postgres", url)
    summary: dict[str, Any] = {name: max(one[name] for one in found.values()) for name in LIMITS}
    summary["nodes"] = found["sqlite"]["nodes"]
    summary["within_limits"] = all(summary[name] < limit for name, limit in LIMITS.items())
    print(json.dumps(summary | {"by_database": found}))


if __name__ == "__main__":
    main()
