"""manage.py profile: the product's own reading and profile of any file, told on one line of JSON."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from tests.factories.datasets import chat, jsonl, tickets


def profiled(*args: str) -> dict:
    out = io.StringIO()
    call_command("profile", *map(str, args), stdout=out)
    return json.loads(out.getvalue().splitlines()[-1])


def test_a_file_is_profiled_against_a_golden_set_and_a_table_of_truth(tmp_path):
    rows = tickets(60)
    text = " ".join(f"word{n}" for n in range(80)) + " "
    rows += [chat(text + "thirteen", "yes"), chat(text + "fourteen", "yes"), rows[5]]
    (tmp_path / "rows.jsonl").write_bytes(jsonl(rows) + b"oops\n")
    (tmp_path / "golden.jsonl").write_bytes(jsonl(rows[:3]))
    (tmp_path / "truth.csv").write_text("line,kind,of,jaccard,detail\n62,near,61,0.95,\n63,exact,6,1.0,\n")

    said = profiled(
        tmp_path / "rows.jsonl", "--against", tmp_path / "golden.jsonl", "--truth", tmp_path / "truth.csv", "--json"
    )

    assert (said["rows"], said["good"], said["bad"], said["exact_duplicates"]) == (64, 63, 1, 1)
    assert (said["contaminated"] >= 3, said["near_recall"]) == (True, 1.0)
    assert {"parse", "near", "tokens", "diversity", "pii", "total"} <= said["cpu_s"].keys()
    assert said["cpu_s"]["total"] > 0 and said["wall_s"] > 0 and said["peak_mb"] > 0
    assert {"code", "severity", "count", "rows"} <= said["findings"][0].keys()


def test_without_json_there_is_something_to_read_before_the_last_line(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(jsonl(tickets(20)))
    out = io.StringIO()

    call_command("profile", str(tmp_path / "rows.jsonl"), stdout=out)

    assert "20 rows: 20 good" in out.getvalue()
    assert json.loads(out.getvalue().splitlines()[-1])["rows"] == 20


def test_a_file_that_cannot_be_used_is_told_by_its_code(tmp_path):
    (tmp_path / "photo.jsonl").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    out = io.StringIO()

    with pytest.raises(CommandError, match="not a table"):
        call_command("profile", str(tmp_path / "photo.jsonl"), stdout=out)

    assert json.loads(out.getvalue())["error"] == "type_mismatch"
