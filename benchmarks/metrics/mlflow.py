"""The same with MLflow's tracking server, from an environment of its own: SQLite, one server process, REST."""

import http.client
import json
import math
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.data import generator

VERSION = os.environ.get("MLFLOW_VERSION", "3.17.0")
VENV = generator.FOLDER / "venvs" / "mlflow"
PORT = 8198
BATCH = 1000  # the most that log-batch takes
CALLS = 9
SHOWN = 2000


def install() -> None:
    if not (VENV / ".done").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin" / "pip"), "install", "-q", f"mlflow=={VERSION}"], check=True)
        (VENV / ".done").touch()


class Server:
    """The tracking server in a scratch folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mlflow.db"
        words = ["server", "--host", "127.0.0.1", "--port", str(PORT), "--workers", "1"]
        store = ["--backend-store-uri", f"sqlite:///{self.file}", "--default-artifact-root", str(folder / "files")]
        environment = os.environ | {"PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
        with (folder / "mlflow.log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(VENV / "bin" / "mlflow"), *words, *store], stdout=log, stderr=log, env=environment
            )
        self._wait()
        self.line = http.client.HTTPConnection("127.0.0.1", PORT, timeout=300)

    def _wait(self) -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                    return
            time.sleep(0.2)
        raise SystemExit("MLflow's server did not start")

    def call(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """Milliseconds and the answer."""
        data = json.dumps(body) if body is not None else None
        began = time.perf_counter()
        self.line.request(method, path, data, {"Content-Type": "application/json"})
        answer = self.line.getresponse()
        text = answer.read()
        taken = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {text[:300]!r}")
        return taken, json.loads(text)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def measure(points: int) -> dict[str, Any]:
    """Points a second over REST, milliseconds of the chart's own call, bytes a point."""
    install()
    with tempfile.TemporaryDirectory(prefix="luthier-mlflow-") as folder:
        server = Server(Path(folder))
        try:
            return {"version": VERSION, "points": points} | _measure(server, points)
        finally:
            server.end()


def _measure(server: Server, points: int) -> dict[str, Any]:
    body = {"experiment_id": "0", "start_time": 0, "run_name": "a million points"}
    _, made = server.call("POST", "/api/2.0/mlflow/runs/create", body)
    run, chance, empty = made["run"]["info"]["run_id"], random.Random(7), server.file.stat().st_size
    spent = 0.0
    for first in range(1, points + 1, BATCH):
        metrics = [
            {"key": "loss", "value": 2 / math.sqrt(step) + chance.gauss(0, 0.05), "timestamp": step, "step": step}
            for step in range(first, min(points, first + BATCH - 1) + 1)
        ]
        spent += server.call("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": run, "metrics": metrics})[0]
    path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
    query = f"{path}?run_ids={run}&metric_key=loss&max_results={SHOWN}"
    taken = [server.call("GET", query)[0] for _ in range(CALLS)]
    return {
        "ingest_points_s": round(points / (spent / 1000)),
        "chart_ms": round(statistics.median(taken), 1),
        "bytes_per_point": round((server.file.stat().st_size - empty) / points, 1),
    }
