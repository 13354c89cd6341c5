"""Rehearsing a run before it is started."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db import transaction

from datasets_app.models import DatasetVersion
from projects import leases, transitions
from projects.access import requires
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import Project, User
from training import selectors
from training.domain import projection as projecting
from training.domain import rehearsal as rehearsing
from training.domain import tokens
from training.domain.recipe import Recipe
from training.models import Adapter, BaseModelVersion, Rehearsal, Run
from training.services import runs

STANDS = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED})


@requires(Permission.RUN_START)
@transaction.atomic
def rehearse(
    project: Project,
    *,
    by: User,
    base: BaseModelVersion,
    version: DatasetVersion,
    recipe: Mapping[str, Any],
    parent: Adapter | None = None,
) -> Rehearsal:
    """Queue some real steps of such a run; one that is there already for the same device, base and data is used."""
    read = Recipe.read(recipe)
    runs.check_parts(project, base, version, parent, read)
    Project.objects.select_for_update().get(pk=project.pk)  # two who ask at the same time get the same one
    where = selectors.likely_place()
    known = selectors.rehearsal_of(project, base, version, read, parent, where)
    if known is not None and known.state in STANDS:
        return known
    rehearsal = known or Rehearsal(
        project=project,
        base=base,
        dataset_version=version,
        parent_adapter=parent,
        method=read.method,
        digest=selectors.rehearsal_digest(base, version, read, parent, where),
    )
    profile = runs.counted(rehearsal)
    tokens.check_rows(selectors.token_stats(profile, read.max_length), read)
    if selectors.plan(base, profile, read, where).pace.sharded:
        raise Refused(rehearsing.NEEDS_ONE_CARD, code="rehearsal_needs_one_card")
    rehearsal.recipe, rehearsal.asked_by = read.as_dict(), by
    rehearsal.spec = runs.freeze(rehearsal, read).frozen()
    rehearsal.plan = selectors.plan(base, profile, read.of_one_card(), where).as_dict()
    rehearsal.projected = _projected(project, selectors.projection(project, base, profile, read, parent).as_dict())
    rehearsal.result = {}
    rehearsal.save()
    leases.queue_job(rehearsal, actor=by.email, priority=rehearsing.PRIORITY)
    return rehearsal


@requires(Permission.RUN_START)
@transaction.atomic
def rehearse_run(run: Run, *, by: User, cut: str | None = None) -> Rehearsal:
    """Rehearse a draft as it stands. `cut` is the decision about rows that are too long; the draft keeps it."""
    if cut:
        run = Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if run.state != JobState.DRAFT:
            raise Refused("This run has been started already; its rows are decided on.", code="already_started")
        run.recipe = Recipe.read(run.recipe | {"cut": cut}).as_dict()
        run.save(update_fields=["recipe"])
        transitions.record(run, "run.rows_decided", actor=by.email, cut=cut)
    parts = {"base": run.base, "version": run.dataset_version, "recipe": run.recipe, "parent": run.parent_adapter}
    return rehearse(run.project, by=by, **parts)


@requires(Permission.RUN_CANCEL)
def cancel_rehearsal(rehearsal: Rehearsal, *, by: User, reason: str = "") -> Rehearsal:
    """Stop it: at once while it waits, within seconds while it runs."""
    leases.request_cancel(rehearsal, actor=by.email, reason=reason)
    return rehearsal


def _projected(project: Project, projection: dict[str, Any]) -> dict[str, Any]:
    found = rehearsing.expected(projection)
    seconds = asdict(found.seconds)
    price = project.hour_price(projection["device"])
    money = {name: str(projecting.cost(value, price)) for name, value in seconds.items()}
    return {"seconds": seconds, "money": money, "steps": found.steps}
