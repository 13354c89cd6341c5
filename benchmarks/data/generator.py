"""make bench-data ROWS=100000: a chat JSONL of that many rows, a golden set, and truth tables of what is planted.

The same rows and seed give the same bytes, with any number of processes: every row draws from a stream of its own.
"""

import argparse
import csv
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.data import plan
from benchmarks.data.rows import Maker, Truth
from benchmarks.data.vocabulary import LANGUAGES, language

FOLDER = Path(__file__).resolve().parents[2] / "var" / "bench"
SEED, PIECE = 7, 2000
COLUMNS = ("line", "kind", "of", "jaccard", "detail")
_maker: Maker  # of this process


def paths(rows: int, *, malformed: bool = True, folder: Path = FOLDER) -> dict[str, Path]:
    """Where the files of this size lie."""
    twin = "" if malformed else "-clean"
    return {
        "data": folder / f"chat-{rows}{twin}.jsonl",
        "truth": folder / f"chat-{rows}{twin}.truth.csv",
        "golden": folder / f"golden-{rows}.jsonl",
        "golden_truth": folder / f"golden-{rows}.truth.csv",
    }


def generate(
    rows: int, *, seed: int = SEED, malformed: bool = True, folder: Path = FOLDER, processes: int = 0
) -> dict[str, Any]:
    """Write the four files; returns counts and sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = paths(rows, malformed=malformed, folder=folder)
    maker = Maker(seed, plan.make(rows, seed), malformed)
    for code in LANGUAGES:
        language(code, seed)  # made once, before the processes part
    counts: Counter[str] = Counter()
    leaked: list[tuple[int, Truth]] = []
    with files["data"].open("wb") as data, files["truth"].open("w", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for lines, truths in _pieces(maker, rows, processes or os.cpu_count() or 1):
            data.write(lines)
            for number, truth in truths:
                writer.writerow(_cells(number, truth))
                counts[truth.kind] += 1
                if truth.kind == "contaminated":
                    leaked.append((number, truth))
    _golden(maker, files, leaked)
    return {"rows": rows, "bytes": files["data"].stat().st_size, "golden": maker.plan.golden, "planted": dict(counts)}


def _pieces(maker: Maker, rows: int, processes: int) -> Any:
    starts = [(start, min(rows, start + PIECE)) for start in range(0, rows, PIECE)]
    if processes == 1 or len(starts) == 1:
        _begin(maker)
        yield from map(_piece, starts)
        return
    # Forked processes share the vocabulary and the plan.
    with multiprocessing.get_context("fork").Pool(processes, _begin, (maker,)) as pool:
        yield from pool.imap(_piece, starts)


def _begin(maker: Maker) -> None:
    global _maker  # noqa: PLW0603 -- what a pool's initializer is for
    _maker = maker


def _piece(span: tuple[int, int]) -> tuple[bytes, list[tuple[int, Truth]]]:
    lines, truths = [], []
    for row in range(*span):
        line, truth = _maker.line(row)
        lines.append(line)
        if truth.kind:
            truths.append((row + 1, truth))
    lines.append(b"")
    return b"\n".join(lines), truths


def _golden(maker: Maker, files: dict[str, Path], leaked: list[tuple[int, Truth]]) -> None:
    with files["golden"].open("wb") as out:
        for row in range(maker.plan.golden):
            out.write(maker.golden_line(row) + b"\n")
    with files["golden_truth"].open("w", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, truth in sorted(leaked, key=lambda pair: pair[1].of):
            writer.writerow(_cells(truth.of, Truth("contaminated", number, truth.jaccard, truth.detail)))


def _cells(number: int, truth: Truth) -> list[Any]:
    alike = "" if truth.jaccard is None else f"{truth.jaccard:.6f}"
    return [number, truth.kind, truth.of or "", alike, truth.detail]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--malformed", type=int, choices=(0, 1), default=1, help="0 makes the clean twin")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--processes", type=int, default=0)
    given = parser.parse_args(argv)
    began = time.monotonic()
    made = generate(
        given.rows, seed=given.seed, malformed=bool(given.malformed), folder=given.folder, processes=given.processes
    )
    files = paths(given.rows, malformed=bool(given.malformed), folder=given.folder)
    print(json.dumps(made | {"seconds": round(time.monotonic() - began, 1), "files": [str(f) for f in files.values()]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
