"""A hundred of the ten thousand broken files of `make fuzz-uploads`, by the same program."""

import json
import subprocess
import sys

import pytest
from django.conf import settings


@pytest.mark.files
@pytest.mark.slow
def test_broken_files_break_nothing_else():
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz_uploads", "--files", "100", "--processes", "1"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ended.stdout, ended.stderr
    *_, others, counts = ended.stdout.strip().splitlines()
    assert json.loads(counts) == {"files": 100, "http_5xx": 0, "worker_deaths": 0, "partial_versions": 0}, ended.stderr
    codes = json.loads(others)["codes"]
    assert codes["succeeded"] > 3, "most damage must not be so great that nothing is read"
    assert len(codes) > 5
    assert set(json.loads(others)) == {"seconds", "codes"}, ended.stderr  # no child beyond its bounds
