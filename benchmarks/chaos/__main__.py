"""make chaos FAULTS=1000 SEED=1: three configurations under fire, one after the other.

Each has servers of its own, on ports and in folders of its own; the machine's are left alone. What is missing on this
machine is skipped by name. The last line is one JSON object; exit status 1 when anything was lost, done twice, written
by a zombie, or left stuck.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.chaos import release
from benchmarks.chaos.oracle import DUPLICATE, LOST, OTHER, STUCK, ZOMBIE
from benchmarks.chaos.points import APART
from benchmarks.chaos.world import CONFIGURATIONS
from benchmarks.installation import ROOT
from projects.faults import POINTS

WRONG = (LOST, DUPLICATE, ZOMBIE, STUCK, OTHER)


def shares(faults: int, names: list[str]) -> dict[str, int]:
    """The faults dealt out evenly, none forgotten."""
    each, left = divmod(faults, len(names))
    return {name: each + (nth < left) for nth, name in enumerate(names)}


# After the three: one where nothing that is sent ever arrives, and one where everything comes three times or late.
STORMS = {"all messages lost": "lost=1.0", "all messages tripled or late": "tripled=0.5,late=0.5"}
STORM_FAULTS = 30
ALL_OF_IT = 300  # with fewer faults the storms are left out


def besiege(name: str, faults: int, seed: int, folder: Path, **environment: str) -> dict[str, Any]:
    """One configuration in a process of its own, since Django is set up once per process."""
    folder.mkdir()
    words = [sys.executable, "-m", "benchmarks.chaos.one", name, str(faults), str(seed), str(folder)]
    print(f"== {name}: {faults} faults, seed {seed}", flush=True)
    process = subprocess.Popen(words, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    last = "{}"
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if line.startswith("{") else last
    status = process.wait()
    figures: dict[str, Any] = json.loads(last)
    if status and not any(figures.get(kind) for kind in WRONG):
        figures[OTHER] = figures.get(OTHER, 0) + 1  # it broke down before it could judge
    return figures


def release_alone(folder: Path) -> dict[str, Any]:
    delivered, wrong = release.strike(folder)
    for violation in wrong:
        print(f"VIOLATION {violation.kind}: {violation.text}", file=sys.stderr)
    kinds = Counter(violation.kind for violation in wrong)
    figures: dict[str, Any] = {"configuration": "release", "faults": delivered.total(), "kinds": dict(delivered)}
    figures |= {"points": sorted(APART)}
    figures |= {kind: kinds[kind] for kind in WRONG}
    print(json.dumps(figures), flush=True)
    return figures


def main() -> int:
    faults, seed = int(os.environ.get("FAULTS", "1000")), int(os.environ.get("SEED", "1"))
    names = os.environ.get("CONFIGURATIONS", " ".join(CONFIGURATIONS)).split()
    began, found = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="luthier-chaos-", ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o755)  # PostgreSQL runs as somebody else
        storms = len(STORMS) * STORM_FAULTS if faults >= ALL_OF_IT else 0
        for name, share in shares(faults - storms, names).items():
            found.append(besiege(name, share, seed, Path(temporary) / name))
        for storm, messages in STORMS.items() if storms else ():
            print(f"== {storm}", flush=True)
            folder = Path(temporary) / storm.replace(" ", "-")
            found.append(besiege("embedded", STORM_FAULTS, seed, folder, MESSAGES=messages, REAL_RUNS="0"))
        found.append(release_alone(Path(temporary) / "release"))
    kinds: Counter[str] = sum((Counter(one.get("kinds", {})) for one in found), Counter())
    print(json.dumps({"kinds": dict(sorted(kinds.items()))}))
    total = {"faults": sum(one.get("faults", 0) for one in found)}
    total |= {kind: sum(one.get(kind, 0) for one in found) for kind in WRONG}
    skipped = [one["configuration"] for one in found if "skipped" in one]
    struck = {point for one in found for point in one.get("points", [])}
    print(json.dumps({"points_never_struck": sorted(set(POINTS) - struck)}))
    print(
        json.dumps(
            {
                **total,
                "points": len(struck),
                "points_known": len(POINTS),
                "skipped": skipped,
                "seconds": round(time.monotonic() - began, 1),
            }
        )
    )
    return int(any(total[kind] for kind in WRONG))


if __name__ == "__main__":
    sys.exit(main())
