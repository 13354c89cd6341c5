"""Evaluations as they are queued, by people and for sweeps, and what they say of adapters beside each other."""

from collections.abc import Sequence

import numpy
from django.db.models import F, Max, QuerySet

from datasets_app.models import DatasetVersion
from evaluation import selectors
from evaluation.domain import contests
from evaluation.domain.graders import GRADERS
from evaluation.models import Equivalence, Evaluation
from projects import leases, transitions
from projects.contributions import RunScore
from projects.domain.contests import Contest
from projects.domain.errors import Invalid, Refused
from projects.domain.states import ACTIVE, JobState
from projects.models import User
from training.domain.compatibility import Judgement
from training.models import Adapter, BaseModelVersion

RETENTION_ROWS = 500


def queue(
    adapter: Adapter,
    *,
    by: User,
    golden: DatasetVersion,
    base: BaseModelVersion | None = None,
    retention: DatasetVersion | None = None,
    graders: Sequence[str] = (),
    max_new_tokens: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Evaluation:
    """Queue golden set × (base, adapter). What is left open is chosen to fit the golden set's answers."""
    fit = selectors.suggestion(golden, graders)
    if not fit.questions:
        raise Invalid(
            f"{golden} has no row with a question and an expected answer. Choose another golden set.",
            code="golden_empty",
            field="golden",
        )
    evaluation = Evaluation.objects.create(
        project=adapter.project,
        adapter=adapter,
        base=base or adapter.base,
        golden=golden,
        retention=retention,
        graders=fit.graders,
        settings={
            "primary": fit.primary,
            "max_new_tokens": max_new_tokens or fit.max_new_tokens,
            "limit": limit,
            "seed": seed,
            "retention_limit": RETENTION_ROWS,
        },
        created_by=by,
    )
    transitions.record(evaluation, "evaluation.created", actor=by.email)
    leases.queue_job(evaluation, actor=by.email)
    return evaluation


class Examiner:
    """What training asks of this app without knowing it: see projects.contributions.Examiner."""

    def ask(self, adapter: Adapter, golden: DatasetVersion, by: User) -> int:
        if _own_base().filter(adapter=adapter, golden=golden).exists():
            return 0
        try:
            queue(adapter, by=by, golden=golden)
        except Refused:
            return 0  # what cannot be asked of it is not asked; the sweep ends without its score
        return 1

    def judged(self, adapter: Adapter, base: BaseModelVersion) -> tuple[Judgement, str]:
        found = selectors.cell(adapter, base)
        return found.judgement, found.probe.digest if found.probe else ""

    def pending(self, adapters: Sequence[int], golden: DatasetVersion) -> bool:
        return _own_base().filter(adapter__in=adapters, golden=golden, state__in=ACTIVE).exists()

    def contest(self, adapters: Sequence[int], golden: DatasetVersion) -> Contest | None:
        newest = _newest(_own_base().filter(adapter__in=adapters, golden=golden))
        if not newest:
            return None
        primary = newest[0].settings["primary"]
        rows = {
            row.adapter_id: selectors.row_scores(row, primary) for row in newest if row.settings["primary"] == primary
        }
        grader = GRADERS[primary]
        rng = numpy.random.default_rng(0)
        return contests.contest(rows, measure=f"{grader.label} on {golden}", binary=grader.binary, rng=rng)

    def scores(self, adapters: Sequence[int]) -> dict[int, list[RunScore]]:
        found: dict[int, list[RunScore]] = {}
        for row in _newest(_own_base().filter(adapter__in=adapters)):
            score = selectors.primary_score(row)
            if score is not None:
                told = RunScore(
                    measure=f"{score.label} on {row.golden}",
                    value=score.adapter,
                    difference=score.difference,
                    low=score.low,
                    high=score.high,
                    n=score.n,
                    url=row.get_absolute_url(),
                    grader=score.name,
                    golden=str(row.golden),
                )
                found.setdefault(row.adapter_id, []).append(told)
        return found

    def derived_scores(self, models: Sequence[int]) -> dict[int, list[RunScore]]:
        found: dict[int, list[RunScore]] = {}
        done = Equivalence.objects.filter(
            derived__in=models, state=JobState.SUCCEEDED, digest_of_model=F("derived__digest")
        ).select_related("project", "golden__dataset")
        seen: set[tuple[int, int]] = set()
        for row in done.order_by("-pk"):
            lead = selectors.lead_of(row)
            if lead is None or (row.derived_id, row.golden_id) in seen:
                continue
            seen.add((row.derived_id, row.golden_id))
            told = RunScore(
                measure=f"{GRADERS[row.figures['primary']].label} on {row.golden}",
                value=lead["derived"],
                difference=lead["difference"],
                low=lead["low"],
                high=lead["high"],
                n=lead["n"],
                url=row.get_absolute_url(),
                grader=row.figures["primary"],
                golden=str(row.golden),
            )
            found.setdefault(row.derived_id, []).append(told)
        return found


def _own_base() -> QuerySet[Evaluation]:
    """A result on another version of the base says nothing of how good a run was."""
    return Evaluation.objects.filter(base=F("adapter__base"))


def _newest(rows: QuerySet[Evaluation]) -> list[Evaluation]:
    """The newest finished evaluation of each adapter on each golden set, in their order."""
    done = rows.filter(state=JobState.SUCCEEDED)
    pks = done.order_by().values("adapter", "golden").annotate(newest=Max("pk")).values_list("newest", flat=True)
    return list(rows.filter(pk__in=list(pks)).select_related("project", "golden__dataset").order_by("pk"))
