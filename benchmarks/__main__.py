"""make bench: what the product costs beside a named peer, measured in the same run.

Three measurements: reading an upload (peer: the Hugging Face loader with the same checks as a map), pages and API
(peer: the health page, which is Django with nothing to do), and memory of an idle installation. ROWS sets the size
of the upload.
The last line is one JSON object.
"""

import http.client
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import installation

PEER = """
import sys, datasets
rows = datasets.load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])
def check(row):
    turns = row["messages"]
    return {"ok": bool(turns) and turns[-1]["role"] == "assistant" and all(t["content"] for t in turns)}
checked = rows.map(check)
print(sum(checked["ok"]))
"""


def make_file(path: Path, rows: int, seed: int = 3) -> int:
    """Chat rows of about 2 kB in words drawn by Zipf's law; returns the size in bytes."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 10))) for _ in range(5000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    with path.open("w") as file:
        for _ in range(rows):
            question, answer = (" ".join(rng.choices(words, weights, k=rng.randint(40, 200))) for _ in range(2))
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer + "."}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path.stat().st_size


def cpu_of(command: list[str], env: dict[str, str] | None = None) -> tuple[float, float]:
    """CPU seconds (user+sys) and wall seconds of a whole process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    quiet = subprocess.DEVNULL
    environment = os.environ | (env or {})
    subprocess.run(command, cwd=installation.ROOT, env=environment, check=True, stdout=quiet, stderr=quiet)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - began


def ingest(folder: Path, rows: int, rounds: int = 3) -> dict[str, Any]:
    """Our whole reading (parse, checks, findings, hashes, Parquet) against load and map, in turn, medians."""
    source = folder / "rows.jsonl"
    size = make_file(source, rows)
    ours, peer = [], []
    for number in range(rounds):
        out = folder / f"out-{number}"
        spec = {
            "task": "upload",
            "source": str(source),
            "file_name": source.name,
            "forced_format": "",
            "purpose": "training",
        }
        (folder / "spec.json").write_text(json.dumps(spec | {"out_dir": str(out), "limits": {}}))
        ours.append(cpu_of([sys.executable, "-m", "datasets_app.engine", str(folder / "spec.json")])[0])
        cache = folder / f"cache-{number}"
        peer.append(cpu_of([sys.executable, "-c", PEER, str(source), str(cache)], {"HF_DATASETS_OFFLINE": "1"})[0])
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return {
        "rows": rows,
        "megabytes": round(size / 1e6, 1),
        "cpu_s": round(mine, 2),
        "peer": "datasets.load_dataset + map",
        "peer_cpu_s": round(theirs, 2),
        "ratio": round(mine / theirs, 2),
    }


def milliseconds(connection: http.client.HTTPConnection, path: str, headers: dict[str, str], count: int = 60) -> float:
    """Median of the whole answer to one request on one kept connection."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:200]!r}")
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def session_of(user: Any) -> dict[str, str]:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    return {"Cookie": f"sessionid={session.session_key}"}


def pages(address: str, owner: Any, project: Any, version: Any) -> dict[str, Any]:
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port))
    headers, home = session_of(owner), f"/projects/{project.slug}"
    floor = milliseconds(connection, "/health/live", {})
    paths = {
        "overview": f"{home}/",
        "datasets": f"{home}/datasets/",
        "version": version.get_absolute_url(),
        "rows_api": f"/api/v1{home}/versions/{version.pk}/rows/",
        "runs_api": f"/api/v1{home}/runs/",
        "costs": f"{home}/costs/",
    }
    found = {name: milliseconds(connection, path, headers) for name, path in paths.items()}
    return {
        "peer": "GET /health/live",
        "peer_ms": round(floor, 2),
        **{f"{name}_ms": round(value, 1) for name, value in found.items()},
        **{f"{name}_ratio": round(value / floor, 1) for name, value in found.items()},
    }


def memory(manager: psutil.Process) -> dict[str, float]:
    """Proportional set size in MB of every part of an idle installation."""
    found: dict[str, float] = {}
    for process in manager.children(recursive=True):
        words = " ".join(process.cmdline())
        name = next((part for part in ("valkey", "gunicorn", "worker", "beat") if part in words), "other")
        found[name] = found.get(name, 0) + process.memory_full_info().pss / 1e6
    return {name: round(value, 1) for name, value in found.items()} | {"all": round(sum(found.values()), 1)}


def main() -> None:
    rows = int(os.environ.get("ROWS", "20000"))
    cache = Path(os.environ.get("LUTHIER_BENCH_CACHE", installation.ROOT / "var" / "bench"))
    address = "127.0.0.1:8194"
    with tempfile.TemporaryDirectory(prefix="luthier-bench-") as name:
        folder = Path(name)
        figures: dict[str, Any] = {"ingest": ingest(folder, rows)}
        print(json.dumps(figures), flush=True)
        installation.prepare(folder / "data", ALLOWED_HOSTS="127.0.0.1")
        with installation.processes(address) as manager:
            time.sleep(5)
            figures["idle_pss_mb"] = memory(manager)
            owner, project, _, version = installation.furnish(cache, 500)
            figures["pages"] = pages(address, owner, project, version)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
