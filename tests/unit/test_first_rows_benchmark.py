"""What the benchmark of first rows takes for an answer: the product's own components, with something in them."""

from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string

from benchmarks import first_rows


def stats(good, bad):
    """The two figures as the upload's page has them."""
    return "".join(
        render_to_string("components/stat.html", {"label": label, "value": value})
        for label, value in (("Good rows", good), ("Bad rows", bad))
    )


@pytest.mark.parametrize(("good", "shown"), [("0", False), ("–", False), ("1,000", True), ("40", True)])
def test_a_count_of_nothing_is_no_count(good, shown):
    assert bool(first_rows.SHOWN["counts"].search(stats(good, "7"))) is shown


def test_first_rows_are_those_of_the_page():
    samples = [{"line": 1, "turns": []}]

    page = render_to_string("datasets/_samples.html", {"samples": samples, "format": "Chat messages"})

    assert first_rows.SHOWN["first_rows"].search(page)
    assert not first_rows.SHOWN["first_rows"].search(render_to_string("datasets/_samples.html", {"samples": []}))


class Visitor:
    def __init__(self, *pages):
        self.pages = list(pages)

    def get(self, path):
        return 200, self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


UPLOAD = SimpleNamespace(get_absolute_url=lambda: "/uploads/1/")


def test_each_part_is_timed_when_the_page_first_shows_it(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(first_rows, "time", SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None))
    rows, errors = "First rows, read as “Chat”", '<div id="bad-rows">'

    seen = first_rows.visible(Visitor("", rows, rows + errors, rows + errors + stats("1,000", "5")), UPLOAD)

    assert seen == {"first_rows": 2, "errors": 3, "counts": 4}


def test_a_page_that_never_shows_it_ends_the_benchmark(monkeypatch):
    now = iter(range(0, 1000, 30))
    monkeypatch.setattr(first_rows, "time", SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None))

    with pytest.raises(SystemExit, match="after a minute"):
        first_rows.visible(Visitor("nothing"), UPLOAD)
