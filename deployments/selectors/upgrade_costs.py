"""What each part of an upgrade is expected to take, and which parts need not or cannot be done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from datasets_app.models import DatasetVersion
from deployments.domain import costing
from deployments.domain.costing import Estimate, Sum
from deployments.domain.upgrades import PARTS, Part, Step
from deployments.selectors.upgrades import Standing
from evaluation import selectors as evaluations
from evaluation.models import Evaluation, Probe
from projects.domain.errors import Refused
from projects.domain.states import ACTIVE, WAITS_FOR_PEOPLE, JobState
from projects.models import LedgerEntry
from training import selectors as training
from training.domain.compatibility import Verdict
from training.domain.recipe import Recipe
from training.models import BaseModelVersion, TokenProfile
from training.selectors import Basis

PROMPTS, RELOADS = 64, 2  # as a probe is asked for when nothing else is said
PAST = 20  # newest pieces of work that a rate is read from
ALIKE = 3  # models of a third up to three times the parameters are told from each other
UNDER_WAY = {*ACTIVE, *WAITS_FOR_PEOPLE}


@dataclass(frozen=True)
class Planned:
    """One part for one adapter. Neither an estimate nor a reason: it is there already."""

    part: Part
    estimate: Estimate | None = None
    why_not: str = ""
    is_there: bool = False

    @property
    def is_wanted(self) -> bool:
        return not self.is_there and not self.why_not

    def as_dict(self) -> dict[str, Any]:
        told = self.estimate.as_dict() if self.estimate else {}
        return told | ({"why_not": self.why_not} if self.why_not else {}) | ({"there": True} if self.is_there else {})


@dataclass
class Costs:
    """What all estimates onto one new version rest on, read once."""

    new: BaseModelVersion
    golden: DatasetVersion | None
    basis: Basis
    price: Decimal
    evaluation_rates: list[float]
    probe_rates: list[float]
    profiles: dict[tuple[int, int], TokenProfile]
    seconds: dict[int, float]  # by evaluation, what its attempts that succeeded took
    _runs: dict[Any, Estimate | None] = field(default_factory=dict)

    def of(self, one: Standing, part: Part) -> Planned:
        if why := self.why_not(one, part):
            return Planned(part, why_not=why)
        if _is_there(one, part):
            return Planned(part, is_there=True)
        if part == Part.PROBE:
            return Planned(part, self._probe(one))
        if part == Part.RETRAIN:
            return Planned(part, self._run(one))
        return Planned(part, self._evaluation(one, part))

    def why_not(self, one: Standing, part: Part) -> str:
        structure = one.cell.structure
        if part in {Part.PROBE, Part.CARRIED} and structure.verdict == Verdict.INCOMPATIBLE:
            return f"It cannot be loaded there: {structure.reasons[0].text}" if structure.reasons else "Incompatible."
        if part in {Part.RETRAIN, Part.RETRAINED} and one.adapter.run is None:
            return "It was imported, so nobody here knows its recipe."
        if part != Part.RETRAIN and one.golden is None and self.golden is None:
            return "There is no golden set that it was judged by. Choose one for those without."
        return ""

    # Each kind of work

    def _evaluation(self, one: Standing, part: Part) -> Estimate:
        base = one.adapter.base if part == Part.BASELINE else self.new
        before = self.seconds.get(one.baseline.pk) if one.baseline else None
        if before and one.baseline:
            return costing.again(before, scale=_scale(base, one.baseline.base), price=self.price)
        golden = one.golden or self.golden
        questions = min(golden.rows if golden else 0, evaluations.MOST_QUESTIONS)
        if self.evaluation_rates and base.parameters:
            work = questions * base.parameters
            return costing.from_past(self.evaluation_rates, work=work, price=self.price)
        seconds = costing.evaluation_formula(
            questions=questions,
            parameters=base.parameters,
            size=base.size_bytes,
            answer=int((one.baseline.settings if one.baseline else {}).get("max_new_tokens") or 0),
            device=self.basis.where.device,
        )
        return costing.guessed(seconds, self.price)

    def _probe(self, one: Standing) -> Estimate:
        questions = min(PROMPTS, (one.golden or self.golden).rows)  # type: ignore[union-attr]
        if self.probe_rates and self.new.parameters:
            return costing.from_past(self.probe_rates, work=questions * self.new.parameters, price=self.price)
        seconds = costing.probe_formula(
            questions=questions,
            parameters=self.new.parameters,
            size=self.new.size_bytes,
            reloads=RELOADS,
            device=self.basis.where.device,
        )
        return costing.guessed(seconds, self.price)

    def _run(self, one: Standing) -> Estimate | None:
        """Its old recipe on its old data, counted in the tokens of the new version, or of the old until it is."""
        run = one.adapter.run
        assert run is not None
        data = (run.dataset_version_id, run.validation_version_id)
        key = (data, tuple(sorted((name, str(value)) for name, value in run.recipe.items())))
        if key not in self._runs:
            counted = (self.profiles.get((run.dataset_version_id, pk)) for pk in (self.new.pk, one.adapter.base_id))
            profile = next((row for row in counted if row is not None and row.is_ready), None)
            self._runs[key] = self._projected(run, profile) if profile else None
        return self._runs[key]

    def _looked_at(self, run: Any) -> TokenProfile | None:
        """The counts of its validation data, in tokens of the new version, or of the old until there are some."""
        if run.validation_version is None:
            return None
        counted = (training.profile_for(run.validation_version, base) for base in (self.new, run.base))
        return next((row for row in counted if row is not None and row.is_ready), None)

    def _projected(self, run: Any, profile: TokenProfile) -> Estimate | None:
        try:
            recipe = Recipe.read(run.recipe)
            told = training.projection(
                run.project, self.new, profile, recipe, rests_on=self.basis, held_out=self._looked_at(run)
            )
        except Refused:
            return None
        middle, most = (Decimal(told.money[name]) for name in ("p50", "p90"))
        return Estimate(told.seconds.p50, told.seconds.p90, middle, most, "projection")


def _is_there(one: Standing, part: Part) -> bool:
    if part == Part.BASELINE:
        return one.baseline is not None
    if part == Part.PROBE:
        return one.cell.probe is not None or one.cell.at_work is not None
    if part == Part.CARRIED:
        return one.carried is not None
    if part == Part.RETRAIN:
        return one.run is not None and (one.run.state == JobState.SUCCEEDED or JobState(one.run.state) in UNDER_WAY)
    return one.retrained is not None


def _scale(base: BaseModelVersion, before: BaseModelVersion) -> float:
    return base.parameters / before.parameters if base.parameters and before.parameters else 1.0


def costs(rows: Sequence[Standing], new: BaseModelVersion, golden: DatasetVersion | None = None) -> Costs:
    basis = training.basis(new)
    versions = {one.adapter.run.dataset_version_id for one in rows if one.adapter.run}
    bases = {new.pk, *(one.adapter.base_id for one in rows)}
    profiles = TokenProfile.objects.filter(version__in=versions, base__in=bases)
    baselines = [one.baseline.pk for one in rows if one.baseline]
    label = Evaluation._meta.label_lower
    lines = LedgerEntry.objects.filter(
        project=new.project, subject_kind=label, subject_id__in=baselines, outcome="succeeded"
    )
    return Costs(
        new=new,
        golden=golden,
        basis=basis,
        price=new.project.hour_price(basis.where.device),
        evaluation_rates=_rates(Evaluation, new.parameters, "summary__n"),
        probe_rates=_rates(Probe, new.parameters, "figures__prompts"),
        profiles={(row.version_id, row.base_id): row for row in profiles},
        seconds={line.subject_id: line.seconds for line in lines},
    )


def _rates(model: Any, size: int, count: str) -> list[float]:
    """Seconds per question and parameter of models about as large: what a small one takes says nothing of a large one.

    Read on the whole installation; nothing in them says whose they are.
    """
    about = {"base__parameters__gt": size / ALIKE, "base__parameters__lt": size * ALIKE}
    rows = model.objects.filter(**about, state=JobState.SUCCEEDED, started_at__isnull=False).order_by("-pk")
    told = rows.values_list("started_at", "finished_at", count, "base__parameters")[:PAST]
    return [(end - begin).total_seconds() / (n * size) for begin, end, n, size in told if n and begin and end]


# Sums of steps


@dataclass(frozen=True)
class StepPlan:
    """What one step would take for a number of adapters."""

    step: Step
    adapters: int  # for which something is to be done
    there: int
    cannot: int
    sum: Sum


Plans = dict[int, dict[Part, Planned]]


def plans(rows: Sequence[Standing], known: Costs) -> Plans:
    """By adapter and part."""
    return {one.adapter.pk: {part: known.of(one, part) for part in Part} for one in rows}


def step_plan(step: Step, planned: Plans) -> StepPlan:
    wanted, there, cannot, parts = 0, 0, 0, []
    for by_part in planned.values():
        mine = [by_part[part] for part in PARTS[step]]
        main = mine[-1] if step != Step.RETRAIN else by_part[Part.RETRAIN]
        cannot += bool(main.why_not)
        todo = [] if main.why_not else [one for one in mine if one.is_wanted]
        wanted += bool(todo)
        there += not todo and not main.why_not
        parts += [one.estimate for one in todo]
    return StepPlan(step, wanted, there, cannot, costing.added(parts))
