"""Uploads, the rows they could not read, and versions in the making."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from datasets_app.domain import fixes
from datasets_app.domain.codes import Code, explain
from datasets_app.domain.fixes import Fix
from datasets_app.models import Build, Incoming, Upload
from projects import artefacts
from projects.domain.states import JobState
from projects.models import Project, User

BAD_FILE = "bad.jsonl"
LOOKED_AT, LONGEST_SHOWN = 5000, 100_000  # rows looked through for examples of a fix, characters of such a row
EXAMPLES = 3


@dataclass(frozen=True)
class BadCode:
    code: str
    title: str
    advice: str
    count: int


@dataclass(frozen=True)
class Making:
    """A version in the making: `rows` are ready, `left` lines are still kept aside."""

    rows: int
    mended: int
    left: int
    menders: list[Upload]
    active: list[Upload]
    build: Build | None


@dataclass(frozen=True)
class Example:
    line: int
    before: str
    after: str
    replaced: int


@dataclass(frozen=True)
class Offer:
    """A fix, how many of the rows kept aside it is suggested for, and what it would do to three of them."""

    fix: Fix
    count: int
    examples: list[Example]


def bad_codes(upload: Upload) -> list[BadCode]:
    """The codes of an upload's bad rows with their counts, most frequent first."""
    ordered = sorted(upload.bad_codes.items(), key=lambda pair: -pair[1])
    return [BadCode(code, explain(code).title, explain(code).advice, n) for code, n in ordered]


def bad_lines(upload: Upload) -> list[int]:
    """Lines that are still kept aside, in order."""
    return list(upload.bad_rows.filter(mended_by=None).order_by("line").values_list("line", flat=True).distinct())


def lines_left(upload: Upload) -> int:
    return upload.bad_rows.filter(mended_by=None).values("line").distinct().count()


def menders(upload: Upload) -> list[Upload]:
    """Files and fixes whose rows have joined this upload, in the order in which they came."""
    joined = upload.menders.filter(state=JobState.SUCCEEDED).exclude(staged_key="")
    return list(joined.select_related("uploaded_by").order_by("pk"))


def making(upload: Upload) -> Making | None:
    """The version that this upload is to become; None when there is none in the making.

    Its build may have ended after the upload was read and before builds were asked for: then the row is old, and a page
    that believed it would show the rows as waiting, and ask no more.
    """
    if not upload.is_in_the_making:
        return None
    upload.refresh_from_db(fields=["state", "hold", "staged_key", "version"])
    if not upload.is_in_the_making:
        return None
    joined = menders(upload)
    mended = sum(mender.rows_good for mender in joined)
    return Making(
        rows=upload.rows_good + mended,
        mended=mended,
        left=lines_left(upload),
        menders=joined,
        active=[mender for mender in upload.menders.all() if mender.is_active],
        build=upload.assemblies.order_by("-pk").first(),
    )


def assembly(upload: Upload) -> Build | None:
    """The build that made, or is making, this upload's rows a version."""
    return (upload.mends or upload).assemblies.select_related("version").order_by("-pk").first()


def bad_texts(upload: Upload) -> Iterator[dict[str, Any]]:
    """{"line", "member", "codes", "text"} of every row kept aside, as it stood in the file; one at a time."""
    if not upload.staged_key:
        return
    path = artefacts.fetch_directory(upload.staged_key, verify=False) / BAD_FILE
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                yield json.loads(line)  # which takes the halves of pairs that stand for bytes


def offers(upload: Upload) -> list[Offer]:
    """The fixes that would mend rows kept aside, with examples from the first rows."""
    counts = Counter(
        dict(upload.bad_rows.filter(mended_by=None).exclude(fix="").values_list("fix").annotate(Count("line")))
    )
    if not counts:
        return []
    wanted = fixes.known(counts)
    examples: dict[str, list[Example]] = {fix.name: [] for fix in wanted}
    open_lines = set(bad_lines(upload)[:LOOKED_AT])
    for entry, _ in zip(bad_texts(upload), range(LOOKED_AT), strict=False):
        if entry["line"] in open_lines and len(entry.get("text") or "") <= LONGEST_SHOWN:
            _note_examples(entry, wanted, examples)
        if all(len(found) >= EXAMPLES for found in examples.values()):
            break
    return [Offer(fix, counts[fix.name], examples[fix.name]) for fix in wanted]


def _note_examples(entry: dict[str, Any], wanted: list[Fix], examples: dict[str, list[Example]]) -> None:
    text = entry["text"]
    for fix in wanted:
        if len(examples[fix.name]) < EXAMPLES and set(entry.get("codes") or []) & fix.codes:
            mended = fix.mend(text)
            if mended is not None:
                examples[fix.name].append(Example(entry["line"], text, mended, fixes.replaced(text)))


def is_mendable(upload: Upload) -> bool:
    """Whether fixes can be chosen for another reading of the file: it has no good row that mended ones could join."""
    return upload.state == JobState.FAILED and upload.error_code == Code.NO_GOOD_ROWS and upload.mends_id is None


def unfinished(project: Project, user: User, dataset: Any = None) -> list[Incoming]:
    """This person's files that have not arrived whole, newest first, each with the parts that are there."""
    found = Incoming.objects.filter(project=project, created_by=user, state=Incoming.State.OPEN)
    if dataset is not None:
        found = found.filter(dataset=dataset)
    return list(found.select_related("dataset").annotate(parts_here=Count("parts")).order_by("-created_at")[:50])
