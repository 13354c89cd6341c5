"""Findings held against a table of what was planted: how many of the near copies were found, how many were none."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from datasets_app.engine.facts import FOLDER
from datasets_app.engine.table import ROWS_FILE

NEAR = 0.8  # the true Jaccard index from which on two rows are near
ALIKE = ("exact", "near", "conflict")


def lines_of(folder: Path, code: str) -> set[int]:
    """Lines of the uploaded file that a finding of the version in this folder is about."""
    path = folder / FOLDER / f"{code}.npy"
    if not path.exists():
        return set()
    lines = pq.read_table(folder / ROWS_FILE, columns=["line"], use_threads=False).column("line").to_numpy()
    return set(lines[np.load(path, allow_pickle=False)].tolist())


def near_quality(folder: Path, truth: Path) -> dict[str, float]:
    """Recall over planted near copies of a true index of at least 0.8, either end found; precision over listed rows."""
    with truth.open(newline="", encoding="utf-8") as file:
        planted = [row for row in csv.DictReader(file) if row["kind"] in ALIKE and row["of"]]
    listed = lines_of(folder, "near_duplicates")
    alike = [row for row in planted if float(row["jaccard"] or 0) >= NEAR]
    right = {int(row[end]) for row in alike for end in ("line", "of")}
    found = [{int(row["line"]), int(row["of"])} & listed for row in alike if row["kind"] == "near"]
    return {
        "near_recall": round(share(map(bool, found)), 4),
        "near_precision": round(share(line in right for line in listed), 4),
    }


def share(judged: Iterable[bool]) -> float:
    """Of those that are true; 1 for none at all."""
    verdicts = list(judged)
    return sum(verdicts) / len(verdicts) if verdicts else 1.0
