"""make bench-metrics: a run of a million points, and a project of ten thousand runs, on SQLite and on PostgreSQL.

Metrics go the way of a real run: lines of JSON as an engine writes them, read and noted under the fence of an attempt.
The chart is asked for over HTTP on one kept connection, from an installation's own web server. With MLFLOW=1 the same
is done with MLflow's tracking server in an environment of its own (var/bench/venvs/mlflow), in turn with ours.
The last line is one JSON object: {"ingest_points_s", "chart_1m_ms", "bytes_per_point", "runs_page_ms"}, of the slower
database each, with both under "by_database" and MLflow's under "mlflow" where it was measured.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.test import postgres_url

ROOT = Path(__file__).resolve().parents[2]
POINTS = int(os.environ.get("POINTS", "1000000"))
WORST = {"ingest_points_s": min, "chart_1m_ms": max, "bytes_per_point": max, "runs_page_ms": max}


def measure(database: str, url: str = "") -> dict[str, Any]:
    """In a process of its own, since settings are read once."""
    with tempfile.TemporaryDirectory(prefix="luthier-metrics-") as folder:
        environment = os.environ | {"POINTS": str(POINTS)} | ({"DATABASE_URL": url} if url else {})
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.metrics.ours", folder],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = json.loads(said.stdout.splitlines()[-1])
    print(f"{database}: {json.dumps(found)}", flush=True)
    return found


def main() -> None:
    from benchmarks.metrics.runs_page import measure as pages

    def listed(database: str) -> dict[str, Any]:
        """The page of a hundred among ten thousand runs, by every order and filter."""
        told = pages(database)
        print(json.dumps(told), flush=True)
        return {"runs_page_ms": told["median_ms"], "runs_page_worst_ms": told["worst_ms"]}

    with tempfile.TemporaryDirectory() as folder:
        found = {"sqlite": measure("sqlite") | listed(f"sqlite:///{folder}/runs.sqlite3")}
    with postgres_url() as server:
        from benchmarks.metrics.scratch import database

        with database(server) as url, database(server) as other:
            found["postgres"] = measure("postgres", url) | listed(other)
    summary: dict[str, Any] = {
        name: worse(one[name] for one in found.values() if one.get(name) is not None) for name, worse in WORST.items()
    }
    summary["by_database"] = found
    if os.environ.get("MLFLOW"):
        from benchmarks.metrics import mlflow

        summary["mlflow"] = mlflow.measure(POINTS)
        print(f"mlflow: {json.dumps(summary['mlflow'])}", flush=True)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
