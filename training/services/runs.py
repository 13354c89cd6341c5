"""Creating, starting, stopping and removing runs."""

import shutil
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from datasets_app import services as datasets
from datasets_app.models import DatasetVersion
from projects import access, budgeting, leases, transitions, turns, withdrawals
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import WAITS_FOR_PEOPLE, JobState
from projects.domain.turns import Priority
from projects.models import Project, User
from training import selectors
from training.domain import money, tokens
from training.domain.recipe import Method, Recipe
from training.freezing import freeze, known_at_start
from training.models import Adapter, BaseModelVersion, Rehearsal, Run, TokenProfile
from training.services import decisions, heldout
from training.services.tokens import ensure_profile


@requires(Permission.RUN_START)
@transaction.atomic
def create_run(
    project: Project,
    *,
    by: User,
    name: str,
    base: BaseModelVersion,
    version: DatasetVersion,
    recipe: Mapping[str, Any],
    parent: Adapter | None = None,
    validation: DatasetVersion | None = None,
    base_decision_reason: str = "",
) -> Run:
    """A draft: everything is checked, nothing is spent. The data is counted in tokens in the meantime.

    `validation` are rows that the run is looked at with and does not learn from.

    `base_decision_reason` answers for a parent that was trained on another version of the base, where nobody has yet.
    """
    read = Recipe.read(recipe)
    if parent is not None and parent.project_id == project.pk == base.project_id:
        decisions.settle(parent, base, by=by, reason=base_decision_reason)
    check_parts(project, base, version, parent, read)
    heldout.check(project, validation, version, read)
    refuse_stale(project, base, version, parent, validation)
    run = Run.objects.create(
        project=project,
        name=_name(name),
        method=read.method,
        base=base,
        dataset_version=version,
        validation_version=validation,
        parent_adapter=parent,
        recipe=read.as_dict(),
        devices=read.devices,
        created_by=by,
    )
    transitions.record(run, "run.created", actor=by.email)
    if base.is_ready:
        ensure_profile(version, base, by=by)
    datasets.compare_soon(version, actor=by.email)
    if validation is not None:
        heldout.prepare(version, validation, base, by=by, again=True)
    return run


@requires(Permission.RUN_START)
@transaction.atomic
def start_run(
    run: Run,
    *,
    by: User,
    cut: str | None = None,
    leak_reason: str = "",
    budget_reason: str = "",
    replaces: Adapter | None = None,
    base_decision_reason: str = "",
) -> Run:
    """Freeze the spec and queue the run. `cut` is the decision about rows that are too long, if one is needed;

    `leak_reason` says why rows of golden sets are trained on, if there are any; `budget_reason` asks the owners for a
    yes when the month has too little left, and then the run waits for it. `replaces` is the adapter of another version
    of the base that this run is to make anew.
    """
    run.refresh_from_db()  # prices and settings as they are now, not as whoever holds the row once read them
    if run.state != JobState.DRAFT:
        raise Refused("This run has been started already. Retry it, or make a new one.", code="already_started")
    refuse_stale(run.project, run.base, run.dataset_version, run.parent_adapter, run.validation_version)
    recipe = Recipe.read(run.recipe | ({"cut": cut} if cut else {}))
    if run.parent_adapter is not None:  # a decision that stood for the draft may have been taken back
        decisions.settle(run.parent_adapter, run.base, by=by, reason=base_decision_reason)
    profile = counted(run)
    stats = selectors.token_stats(profile, recipe.max_length)
    tokens.check_rows(stats, recipe)
    held_out = heldout.counted(run, recipe)
    datasets.refuse_unfit(run.dataset_version, leak_reason=leak_reason)
    projection = selectors.projection(run.project, run.base, profile, recipe, run.parent_adapter, held_out=held_out)
    budgeting.queue_or_ask(
        run,
        by=by,
        amount=money.p90(projection.as_dict()),
        reason=budget_reason,
        recipe=recipe.as_dict(),
        spec=freeze(run, recipe).frozen(),
        projection=projection.as_dict(),
        total_steps=projection.steps,
        launched_with=known_at_start(run, stats, recipe, replaces)
        | ({"leak_reason": leak_reason} if leak_reason else {}),
        started_by=by,
    )
    return run


@requires(Permission.RUN_START)
@transaction.atomic
def launch_run(
    project: Project,
    *,
    by: User,
    cut: str | None = None,
    leak_reason: str = "",
    budget_reason: str = "",
    replaces: Adapter | None = None,
    **parts: Any,
) -> Run:
    """Create and start in one go: when the start is refused, no draft is left behind."""
    run = create_run(project, by=by, **parts)
    return start_run(run, by=by, cut=cut, leak_reason=leak_reason, budget_reason=budget_reason, replaces=replaces)


def refuse_stale(
    project: Project,
    base: BaseModelVersion,
    version: DatasetVersion,
    parent: Adapter | None,
    validation: DatasetVersion | None = None,
) -> None:
    """Nothing new is trained on, or looked at with, what was withdrawn or rows that were erased for somebody."""
    stands_on = [f"base:{base.pk}", *(f"version:{one.pk}" for one in (version, validation) if one)]
    withdrawals.refuse_stale(project, *stands_on, *([f"adapter:{parent.pk}"] if parent else []))


@requires(Permission.RUN_CANCEL)
def cancel_run(run: Run, *, by: User, reason: str = "") -> Run:
    """Stop a waiting run at once and a running one within seconds; its last checkpoint is kept for a retry."""
    if not budgeting.cancel_held(run, by=by, reason=reason):
        leases.request_cancel(run, actor=by.email, reason=reason)
    return run


@requires(Permission.RUN_START)
@transaction.atomic
def retry_run(run: Run, *, by: User, start_at: int | None = None, budget_reason: str = "") -> Run:
    """A new attempt of the same frozen spec, from its newest whole checkpoint; its cost is held again.

    `start_at` is the step of an earlier checkpoint to go on from, or 0 to begin anew; what lies beyond it is given up.
    """
    selectors.refuse_unusable(run.base)
    _check_start(run, start_at)
    budgeting.queue_or_ask(run, by=by, amount=money.p90(run.projection), reason=budget_reason, start_at=start_at)
    return run


@requires(Permission.RUN_START)
def set_priority(run: Run, *, by: User, priority: Priority) -> Run:
    """Let a run that waits go earlier or later. Ahead of other projects is for owners to decide."""
    if priority is Priority.HIGH and not access.may(by, Permission.PROJECT_MANAGE, run.project):
        raise PermissionDenied("High priority puts a run ahead of every other project's. Ask an owner of this project.")
    turns.set_priority(run, priority, actor=by.email)
    return run


@requires(Permission.ADAPTER_DELETE)
@transaction.atomic
def delete_run(run: Run, *, by: User) -> None:
    """Remove a run that made nothing; what it cost stays in the ledger."""
    if run.is_active or run.state in WAITS_FOR_PEOPLE:
        raise Refused("This run is not over. Cancel it first.", code="still_running")
    if Adapter.objects.filter(run=run).exists():
        raise Refused("An adapter descends from this run, so the run stays as its record.", code="has_descendants")
    transitions.record(run, "run.deleted", actor=by.email)
    home = run.home
    run.delete()
    transaction.on_commit(lambda: shutil.rmtree(home, ignore_errors=True))


def _check_start(run: Run, start_at: int | None) -> None:
    steps = selectors.whole_steps(run)
    if not start_at or start_at in steps:
        return
    there = f"There is one of step {', '.join(map(str, steps))}" if steps else "There is none"
    raise Refused(
        f"{run} has no whole checkpoint of step {start_at}. {there}; it can also begin anew.",
        code="no_checkpoint",
        field="start_at",
    )


def _name(name: str) -> str:
    chosen = name.strip()
    if not chosen or len(chosen) > 120 or not chosen.isprintable():
        raise Invalid("Give the run a name of up to 120 characters.", code="bad_name", field="name")
    return chosen


def check_parts(
    project: Project, base: BaseModelVersion, version: DatasetVersion, parent: Adapter | None, recipe: Recipe
) -> None:
    """Everything from this project, for this purpose, and made for each other."""
    for thing, owner, field in ((base, base.project_id, "base"), (version, version.project.pk, "dataset_version")):
        if owner != project.pk:
            raise Invalid(
                f"There is no {type(thing).__name__} of that number in this project.", code="not_found", field=field
            )
    datasets.refuse_unreleased(version)
    if version.dataset.purpose != "training":
        raise Invalid(
            f"{version} is a {version.dataset.get_purpose_display().lower()}. What a run is judged by must never be "
            "trained on: choose a training set.",
            code="wrong_purpose",
            field="dataset_version",
        )
    if (version.kind == "preference") != (recipe.method == Method.DPO):
        wanted = "pairs (chosen and rejected)" if recipe.method == Method.DPO else "chats or plain text"
        raise Invalid(
            f"{recipe.method.upper()} needs {wanted}, but {version} holds {version.get_kind_display().lower()} rows.",
            code="wrong_kind",
            field="method",
        )
    selectors.refuse_unbounded(base, version, recipe)
    _check_parent(project, base, parent, recipe)


def _check_parent(project: Project, base: BaseModelVersion, parent: Adapter | None, recipe: Recipe) -> None:
    if parent is None:
        return
    if parent.project_id != project.pk:
        raise Invalid("There is no such adapter in this project.", code="not_found", field="parent")
    selectors.refuse_undecided(parent, base, "parent")
    if (parent.rank, parent.alpha) != (recipe.rank, recipe.alpha):
        raise Invalid(
            f"{parent} has rank {parent.rank} and alpha {parent.alpha}; going on from it needs the same.",
            code="parent_mismatch",
            field="rank",
        )


def counted(run: Run | Rehearsal) -> TokenProfile:
    """The token profile, or a refusal that says to wait: nobody starts without knowing what would be cut."""
    selectors.refuse_unusable(run.base)
    profile = selectors.profile_for(run.dataset_version, run.base)
    if profile is not None and profile.is_ready:
        return profile
    if profile is not None and profile.state == JobState.FAILED:
        raise Refused(f"The data could not be counted in tokens: {profile.error_message}", code=profile.error_code)
    raise Refused(
        "The data is still being counted in tokens of this base. Start the run when that is done.",
        code="tokens_not_counted",
    )
