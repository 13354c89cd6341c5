"""make bench-projections: each run is predicted before it starts from what was measured so far; then it is run.

On a CPU through the product's own path: services, supervisor, engine, record, on a private installation. With `--gpu`
the same domain code and the same engine without Django, so that it runs where only the training libraries are; every
run is rehearsed first. `--tiny` makes the GPU's list small enough for a CPU. The last line is one JSON object:
{"runs", "inside": {"time", "memory", "money", "disk"}, "coverage"}.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMES = {"seconds": "time", "memory_bytes": "memory", "money": "money", "disk_bytes": "disk"}
SCALES = {"seconds": ("s", 1.0), "memory_bytes": ("GB", 1e-9), "disk_bytes": ("MB", 1e-6)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The runs with their bands and what they came to; a star marks what lay outside."""
    lines = ["| run | rests on | " + " | ".join(f"{NAMES[name]}, {unit}" for name, (unit, _) in SCALES.items()) + " |"]
    lines.append("| --- " * (2 + len(SCALES)) + "|")
    for row in rows:
        cells = [_cell(row, name) for name in SCALES]
        lines.append(f"| {row['name']} | {row['source']} ({row['level']}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any], name: str) -> str:
    band, actual = row["predicted"].get(name), row["actual"].get(name)
    if band is None or actual is None:
        return "–"
    scale = SCALES[name][1]
    low, high, came = (f"{value * scale:.3g}" for value in (band["p10"], band["p90"], actual))
    return f"{low} – {high}: {came}{'' if band['p10'] <= actual <= band['p90'] else ' *'}"


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many lay inside, by quantity, and the share of time inside with its 95 % interval."""
    from training.domain.projection.calibration import wilson

    inside = {}
    for name, told in NAMES.items():
        known = [row for row in rows if row["predicted"].get(name) and row["actual"].get(name) is not None]
        inside[told] = sum(
            row["predicted"][name]["p10"] <= row["actual"][name] <= row["predicted"][name]["p90"] for row in known
        )
    low, high = wilson(inside["time"], len(rows))
    coverage = {told: round(count / len(rows), 3) if rows else 0.0 for told, count in inside.items()}
    return {"runs": len(rows), "inside": inside, "coverage": coverage, "time_95": [round(low, 3), round(high, 3)]}


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--gpu", action="store_true", help="without Django, each run rehearsed first")
    ask.add_argument("--tiny", action="store_true", help="with --gpu: shapes for a dry run on a CPU")
    ask.add_argument("--only", type=int, default=0, help="so many runs from the head of the list")
    ask.add_argument("--cases", type=int, nargs="*", default=[], help="with --gpu: places in the list, in their order")
    ask.add_argument("--seconds", type=float, default=3600, help="begin no run after so long")
    ask.add_argument("--out", type=Path, help="a folder for the records")
    given = ask.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if given.gpu:
        from benchmarks.projecting import card

        found = card.measure(tiny=given.tiny, chosen=given.cases, seconds=given.seconds)
    else:
        from benchmarks.projecting import installed

        found = installed.measure(only=given.only, seconds=given.seconds)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "projections.json").write_text(json.dumps(found, indent=1))
    print(table(found["runs"]))
    if found.get("guessed"):
        print("\nBefore the rehearsal:\n" + table(found["guessed"]))
        print(json.dumps({"before_rehearsal": summary(found["guessed"]), "misfit": found.get("misfit")}))
    print(json.dumps(summary(found["runs"])))


if __name__ == "__main__":
    main()
