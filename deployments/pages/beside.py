"""What differs between two adapters: data, recipe, base and results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.urls import reverse

from datasets_app import selectors as datasets
from deployments.selectors.evidence import trained_on
from projects import contributions
from projects.contributions import RunScore
from projects.domain.contests import Contest
from training import pages as training
from training.models import Adapter

UNKNOWN = "unknown"
Facts = dict[str, str]


@dataclass(frozen=True)
class Line:
    name: str
    first: str
    second: str

    @property
    def same(self) -> bool:
        return self.first == self.second


@dataclass(frozen=True)
class Section:
    """One side of the question. `url` opens more about it."""

    title: str
    lines: Sequence[Line]
    url: str = ""
    url_label: str = ""

    @property
    def differing(self) -> int:
        return sum(not line.same for line in self.lines)


@dataclass(frozen=True)
class Result:
    """One measure; `contest` sets both against each other row by row where they answered the same golden set."""

    measure: str
    first: RunScore | None
    second: RunScore | None
    contest: Contest | None = None


@dataclass(frozen=True)
class Beside:
    first: Adapter
    second: Adapter
    sections: Sequence[Section]
    results: Sequence[Result]

    @property
    def verdict(self) -> str:
        differ = [section.title.lower() for section in self.sections if section.differing]
        if not differ:
            return "They stand on the same base, data and recipe."
        return f"They differ in {' and '.join(filter(None, [', '.join(differ[:-1]), differ[-1]]))}."


def beside(first: Adapter, second: Adapter) -> Beside:
    sections = [
        Section("Data", _lines(_data(first), _data(second)), *_diff(first, second)),
        Section("Recipe", _lines(_recipe(first), _recipe(second))),
        Section("Base", _lines(_base(first), _base(second))),
        Section("Making", _lines(_making(first), _making(second))),
    ]
    return Beside(first, second, sections, list(_results(first, second)))


def _lines(first: Facts, second: Facts) -> list[Line]:
    """What differs comes first."""
    lines = [Line(name, first.get(name, "–"), second.get(name, "–")) for name in dict.fromkeys([*first, *second])]
    return sorted(lines, key=lambda line: line.same)


def _data(adapter: Adapter) -> Facts:
    """Its own version and those of the adapters it goes on from."""
    own, *before = trained_on(adapter)
    facts = {"Trained on": str(own) if own else UNKNOWN}
    if own:
        facts |= {"Rows": f"{own.rows:,}", "Content hash": own.content_hash[:8]}
    return facts | ({"Before that": ", ".join(str(one) if one else UNKNOWN for one in before)} if before else {})


def _diff(first: Adapter, second: Adapter) -> tuple[str, str]:
    """The page with their differences row by row, where one version was made from the other."""
    one, other = first.dataset_version, second.dataset_version
    if one is None or other is None or one.pk == other.pk:
        return "", ""
    before, after = (one, other) if datasets.descends(other, one) else (other, one)
    if not datasets.descends(after, before):
        return "", ""
    return reverse("diff-detail", args=[first.project.slug, before.pk, after.pk]), "Rows that differ"


def _recipe(adapter: Adapter) -> Facts:
    facts = {"Rank": str(adapter.rank), "Alpha": str(adapter.alpha)}
    if adapter.run is not None:
        facts |= {label: "–" if value in (None, "") else str(value) for label, value in training.run_facts(adapter.run)}
    return facts


def _base(adapter: Adapter) -> Facts:
    base = adapter.base
    facts = {"Base model": str(base), "Fingerprint": base.fingerprint[:8], "Revision": base.revision or "–"}
    facts |= {"Licence": base.licence or "not stated"}
    hashed = {name: value[:8] if value else "none" for name, value, _ in training.base_facts(base)}
    return facts | hashed


def _making(adapter: Adapter) -> Facts:
    facts = {"Made by": adapter.method, "Goes on from": str(adapter.parent or "nothing")}
    facts |= {"Size": f"{adapter.size_bytes:,} bytes"}
    if adapter.run is not None:
        loss = adapter.run.measured.get("final_loss")
        facts |= {"Steps": str(adapter.run.step), "Device": adapter.run.device_name or adapter.run.device or "–"}
        facts |= {"Final loss": f"{loss:.3g}" if isinstance(loss, int | float) else "–"}
    return facts


def _results(first: Adapter, second: Adapter) -> Iterator[Result]:
    pks = [first.pk, second.pk]
    for examiner in contributions.examiners:
        scores = examiner.scores(pks)
        ours, theirs = ({one.measure: one for one in scores.get(pk, [])} for pk in pks)
        shared = _contests(first, second)
        for measure in dict.fromkeys([*ours, *theirs]):
            yield Result(measure, ours.get(measure), theirs.get(measure), shared.get(measure))


def _contests(first: Adapter, second: Adapter) -> dict[str, Contest]:
    """On golden sets that both have answered."""
    evaluations = first.evaluations.model.objects.filter(state="succeeded").order_by("pk")
    golden = evaluations.filter(adapter=first).values("golden")
    both = evaluations.filter(adapter=second, golden__in=golden).select_related("golden__dataset")
    found = {}
    for one in {row.golden_id: row.golden for row in both}.values():
        for examiner in contributions.examiners:
            contest = examiner.contest([first.pk, second.pk], one)
            if contest is not None and len(contest.order) == 2:
                found[contest.measure] = contest
    return found
