"""make bench-datasets: each step of the profile beside the best tools for it, in turn, on the same file.

Every program runs in a process of its own; its CPU seconds (user and system) are taken from wait4. Programs of one
step run A B C A B C …; figures are medians. ROWS sets the size, ROUNDS the number of rounds, STEPS picks some.
Prints a table in Markdown; the last line is one JSON object.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import bpe
from benchmarks.data import generator

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "benchmarks" / "peer_programs"
VENV = generator.FOLDER / "venvs" / "peers"
OURS, LIMIT = "ours", "limit"
Measured = dict[str, Any]

# step → (the CPU figure of ours, peers by name: (program, needs the throw-away environment))
STEPS: dict[str, tuple[str, dict[str, tuple[str, bool]]]] = {
    "parse": (
        "parse",
        {LIMIT: ("limit_lines", False), "datasets load + map": ("parse_hf", False), "duckdb": ("parse_duckdb", True)},
    ),
    "exact": ("exact", {"datasets map + filter": ("exact_hf", False), "polars": ("exact_polars", True)}),
    "near": (
        "near",
        {LIMIT: ("limit_pass", False), "rensa": ("near_rensa", True), "datasketch": ("near_datasketch", True)},
    ),
    "tokens": (
        "tokens",
        {LIMIT: ("limit_pass", False), "tokenizers": ("tokens_hf", False), "tiktoken": ("tokens_tiktoken", True)},
    ),
    "diversity": ("diversity", {LIMIT: ("limit_pass", False), "polars + zstd": ("diversity_polars", True)}),
    "pii": ("pii", {LIMIT: ("limit_pass", False), "re2": ("pii_re2", True)}),
}
REACH = {"parse": 0.5, "exact": 0.4, "near": 3.0, "tokens": 8.0, "diversity": 5.0, "pii": 0.5}  # at 100,000 rows
BY_PEERS = ("email", "phone", "iban", "card")  # kinds that the patterns of a peer are for; others are not held against


def prepare(rows: int) -> dict[str, Path]:
    """The data, its twin without malformed lines, the tokenizer, and the environment of the peers."""
    for malformed in (True, False):
        if not generator.paths(rows, malformed=malformed)["golden_truth"].exists() or not (
            generator.paths(rows, malformed=malformed)["data"].exists()
        ):
            generator.generate(rows, malformed=malformed)
    if not (VENV / ".done").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run(
            [str(VENV / "bin" / "pip"), "install", "-q", "-r", str(ROOT / "benchmarks" / "peers.txt")], check=True
        )
        (VENV / ".done").touch()
    files = generator.paths(rows)
    return {
        "data": files["data"],
        "truth": files["truth"],
        "golden": files["golden"],
        "clean": generator.paths(rows, malformed=False)["data"],
        "tokenizer": bpe.folder(),
    }


def run(command: list[str]) -> Measured:
    """The last line a program prints, with the CPU seconds, wall seconds and peak memory of its process."""
    environment = os.environ | {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
        out.seek(0)
        said = out.read().decode().strip().splitlines()
    found: Measured = json.loads(said[-1])
    return found | {
        "process_cpu_s": usage.ru_utime + usage.ru_stime,
        "process_wall_s": wall,
        "process_peak_mb": usage.ru_maxrss / 1024,
    }


def ours(files: dict[str, Path]) -> list[str]:
    return [
        *(sys.executable, "manage.py", "profile", str(files["data"]), "--against", str(files["golden"])),
        *("--tokenizer", str(files["tokenizer"]), "--truth", str(files["truth"]), "--json"),
    ]


def peer(program: str, foreign: bool, files: dict[str, Path]) -> list[str]:
    python = str(VENV / "bin" / "python") if foreign else sys.executable
    # Each of them gives up on the file with malformed lines: they are given its twin.
    return [python, str(PROGRAMS / f"{program}.py"), str(files["clean"]), str(files["tokenizer"] / "tokenizer.json")]


def rounds_of(steps: Iterable[str], files: dict[str, Path], rounds: int) -> dict[str, list[Measured]]:
    """Ours and every peer in turn, as often as asked; a program that several steps name runs once a round."""
    programs = {program: foreign for step in steps for program, foreign in STEPS[step][1].values()}
    found: dict[str, list[Measured]] = {OURS: [], **{program: [] for program in programs}}
    for number in range(rounds):
        found[OURS].append(run(ours(files)))
        for program, foreign in programs.items():
            found[program].append(run(peer(program, foreign, files)))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def median(runs: list[Measured], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def quality(step: str, flagged: Iterable[int], truth: list[dict[str, str]]) -> dict[str, float]:
    """Recall and precision of a peer's rows (from 0): near pairs count from a true Jaccard of 0.8, either end found."""
    lines = {n + 1 for n in flagged}
    if step == "near":
        alike = [t for t in truth if t["kind"] == "exact" or (t["kind"] == "near" and float(t["jaccard"]) >= 0.8)]
        near = [t for t in alike if t["kind"] == "near"]
        right = {int(t[end]) for t in alike for end in ("line", "of")}
        recall = [int(t["line"]) in lines or int(t["of"]) in lines for t in near]
    else:
        wanted = [t for t in truth if t["kind"] == "secret" or (t["kind"] == "pii" and t["detail"] in BY_PEERS)]
        right = {int(t["line"]) for t in truth if t["kind"] in ("pii", "secret")}
        recall = [int(t["line"]) in lines for t in wanted]
    return {
        "recall": round(sum(recall) / max(1, len(recall)), 4),
        "precision": round(len(lines & right) / max(1, len(lines)), 4),
    }


def line_of(step: str, name: str, runs: list[Measured], truth: list[dict[str, str]]) -> Measured:
    found: Measured = {
        "step": step,
        "name": name,
        "cpu_s": round(median(runs, "section_cpu_s"), 3),
        "process_cpu_s": round(median(runs, "process_cpu_s"), 2),
        "peak_mb": round(median(runs, "process_peak_mb")),
    }
    last = runs[-1]
    if "flagged" in last:
        found |= quality(step, last["flagged"], truth)
    return found | {key: last[key] for key in ("tokens", "duplicates", "compression") if key in last}


def our_line(step: str, runs: list[Measured]) -> Measured:
    """Our figures of one step; the process is that of the whole profile."""
    last = runs[-1]
    found: Measured = {
        "step": step,
        "name": OURS,
        "cpu_s": round(statistics.median(run["cpu_s"][STEPS[step][0]] for run in runs), 3),
        "process_cpu_s": round(median(runs, "process_cpu_s"), 2),
        "peak_mb": round(median(runs, "peak_mb")),
    }
    if step == "near":
        found |= {"recall": last.get("near_recall"), "precision": last.get("near_precision")}
    if step == "exact":
        found["duplicates"] = last.get("exact_duplicates")
    return found


def table(lines: list[Measured]) -> str:
    mine = {line["step"]: line["cpu_s"] for line in lines if line["name"] == OURS}
    head = "| step | program | CPU s of the step | ours is | CPU s of the process | peak MB | recall | precision |"
    rows = [head, "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for line in lines:
        ratio = "" if line["name"] == OURS else f"{mine[line['step']] / max(line['cpu_s'], 1e-3):.2f}×"
        cells = [line["step"], line["name"], f"{line['cpu_s']:.2f}", ratio, f"{line['process_cpu_s']:.2f}"]
        cells += [str(line["peak_mb"]), str(line.get("recall") or ""), str(line.get("precision") or "")]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    rows, rounds = int(os.environ.get("ROWS", "100000")), int(os.environ.get("ROUNDS", "3"))
    steps = os.environ.get("STEPS", " ".join(STEPS)).split()
    # In a process of its own: the peak of every program counts what its parent held when it was started.
    subprocess.run([sys.executable, "-c", f"from benchmarks import peers; peers.prepare({rows})"], cwd=ROOT, check=True)
    files = prepare(rows)
    found = rounds_of(steps, files, rounds)
    with files["truth"].open(newline="") as opened:
        truth = list(csv.DictReader(opened))
    lines = []
    for step in steps:
        lines.append(our_line(step, found[OURS]))
        lines += [line_of(step, name, found[p], truth) for name, (p, _) in STEPS[step][1].items()]
    print(table(lines))
    best = sum(min(x["cpu_s"] for x in lines if x["step"] == s and x["name"] not in (OURS, LIMIT)) for s in steps)
    whole = {
        "rows": rows,
        "rounds": rounds,
        "cpu_s": round(statistics.median(run["cpu_s"]["total"] for run in found[OURS]), 2),
        "wall_s": round(median(found[OURS], "wall_s"), 2),
        "peak_mb": round(median(found[OURS], "peak_mb")),
        "best_peers_cpu_s": round(best, 2),
        "reach": REACH if rows == 100_000 else {},
        "profile": {key: value for key, value in found[OURS][-1].items() if key != "findings"},
        "lines": lines,
    }
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
