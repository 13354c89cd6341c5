"""Small sieges of two configurations, at the points where the most could go wrong. All of it: `make chaos`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings

from tests.factories.training import make_model_folder

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

FAULTS = 12
# A claim without a supervisor, files without a row, a row without an end, an end without an after.
POINTS = [
    "leases.after_claim",
    "supervision.before_start",
    "supervision.child_started",
    "checkpoints.before_rename",
    "checkpoints.committed",
    "run.checkpoint_noted",
    "engine.adapter_written",
    "artefacts.after_rename",
    "run.adapter_written",
    "leases.attempt_booked",
    "supervision.concluded",
    "leases.lost_requeued",
]


def besiege(name: str, tmp_path: Path) -> dict:
    cache = tmp_path / "cache"
    cache.mkdir()
    (Path(settings.MODELS_DIR) / make_model_folder("toy")).rename(cache / "tiny-help-desk")
    left_out = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "DEBUG"}
    environment = {key: value for key, value in os.environ.items() if key not in left_out} | {
        "LUTHIER_BENCH_CACHE": str(cache),
        "POINTS": " ".join(POINTS),
        "REAL_RUNS": "0",
    }
    # Not below pytest's folder, which is its owner's alone: PostgreSQL runs as somebody else.
    with tempfile.TemporaryDirectory(prefix="luthier-siege-", ignore_cleanup_errors=True) as folder:
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.chaos.one", name, str(FAULTS), "1", folder],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert said.returncode == 0, said.stderr[-8000:]
    return json.loads(said.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["embedded", "postgres+redis"])
def test_nothing_is_lost_or_done_twice_under_fire(name, tmp_path, own_folders):
    figures = besiege(name, tmp_path)
    if "skipped" in figures:
        pytest.skip(figures["skipped"])

    assert figures["faults"] >= FAULTS
    assert figures["runs"] > 0
    assert figures["writes_seen"] > 0
    kinds = ("lost", "duplicates", "zombie_writes", "stuck", "other")
    assert {kind: figures[kind] for kind in kinds} == dict.fromkeys(kinds, 0)
