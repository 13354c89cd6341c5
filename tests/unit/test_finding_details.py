"""What findings say in words of their figures."""

from types import SimpleNamespace

import pytest

from datasets_app.pages import details


@pytest.mark.parametrize(("rows", "words"), [(1, "1 row; from 50"), (2, "2 rows; from 50"), (49, "49 rows; from 50")])
def test_few_rows_are_counted_in_words(rows, words):
    finding = SimpleNamespace(code="few_rows", detail={"rows": rows, "enough": 50})
    assert details.detail_lines(finding) == [f"{words} on the numbers begin to hold."]
