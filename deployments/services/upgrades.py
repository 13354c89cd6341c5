"""What people order for the adapters of an old base on a new version, and how they steer that."""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from datasets_app.models import DatasetVersion
from deployments import upgrading
from deployments.domain import costing
from deployments.domain import upgrades as domain
from deployments.domain.upgrades import Part, Step
from deployments.models import Upgrade, UpgradeItem
from deployments.selectors import families, upgrade_costs
from deployments.selectors.upgrade_costs import Plans
from deployments.selectors.upgrades import Standing, standings
from projects import access, budgeting, holds, leases, pausing, transitions, withdrawals
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import OVER, JobState
from projects.models import Project, User
from training import selectors as training
from training.domain.compatibility import Verdict
from training.models import Adapter, BaseModelVersion

MOST_AT_ONCE = 16
REASON_AT_LEAST = 10
ALSO: dict[Step, tuple[Permission, ...]] = {
    Step.PROBE: (Permission.EVALUATION_START,),
    Step.EVALUATE: (Permission.EVALUATION_START, Permission.BASE_DECIDE),
    Step.RETRAIN: (Permission.EVALUATION_START,),
}


@requires(Permission.RUN_START)
@transaction.atomic
def start_upgrade(
    old: BaseModelVersion,
    *,
    by: User,
    new: BaseModelVersion,
    steps: Sequence[str],
    adapters: Sequence[Adapter] | None = None,
    reason: str = "",
    golden: DatasetVersion | None = None,
    margin: float = domain.MARGIN,
    only_lost: bool = True,
    at_once: int = 4,
    budget_reason: str = "",
) -> Upgrade:
    """Order steps for adapters of `old` (all of them when none is named) on `new`; what they may cost is held.

    Whoever orders the same a second time, or at the same moment, gets the order that is under way. `reason` answers for
    using the adapters on the new version; `golden` is for those that nobody has judged yet.
    """
    read = _steps(steps)
    for permission in {one for step in read for one in ALSO[step]}:
        access.require(by, permission, old.project)
    _check_numbers(margin, at_once)
    _check_bases(old, new)
    _check_golden(old.project, golden)
    holds.lock(old.project)  # of two who press at once the second sees what the first has ordered
    rows = standings(old, new, adapters=_chosen(old, adapters), margin=margin, compare=False)
    plans = upgrade_costs.plans(rows, upgrade_costs.costs(rows, new, golden))
    asked, rows = rows, [one for one in rows if _wanted(read, plans, one)]
    if (there := families.under_way(old, new)) is not None:
        return _same_or_refuse(there, read, asked, rows)
    if not rows:
        raise Refused(_nothing(read, plans), code="nothing_to_do")
    _check_reason(read, rows, reason)
    upgrade = _create(
        old, by, new=new, steps=[step.value for step in read], reason=reason.strip()[:2000], margin=margin,
        only_lost=only_lost, at_once=at_once,
    )  # fmt: skip
    _add_items(upgrade, rows, plans, golden)
    total = costing.added(plans[one.adapter.pk][p].estimate for one, p in _todo(upgrade.parts, plans, rows))
    budgeting.queue_or_ask(
        upgrade, by=by, amount=total.money90, reason=budget_reason, projection=total.as_dict(), started_by=by
    )
    return upgrade


@requires(Permission.RUN_START)
@transaction.atomic
def pause_upgrade(upgrade: Upgrade, *, by: User, reason: str = "") -> Upgrade:
    """Start nothing more until somebody resumes it. What is at work comes to its end."""
    upgrade = _locked(upgrade)
    if upgrade.state not in upgrading.MOVING:
        raise Refused("Only what is under way can be paused.", code="not_running")
    transitions.move(upgrade, JobState.PAUSED, actor=by.email, reason=reason)
    return upgrade


@requires(Permission.RUN_START)
@transaction.atomic
def resume_upgrade(upgrade: Upgrade, *, by: User) -> Upgrade:
    """Let it go on, and with it evaluations and probes that were paused because the month had nothing left."""
    upgrade = _locked(upgrade)
    for item in upgrading.items_of(upgrade):
        for part in item.asked:
            work = item.work(Part(part))
            if work is not None and work.state == JobState.PAUSED:
                pausing.resume_job(work, actor=by.email)
    pausing.resume_job(upgrade, actor=by.email)
    return upgrade


@requires(Permission.RUN_CANCEL)
def cancel_upgrade(upgrade: Upgrade, *, by: User, reason: str = "") -> Upgrade:
    """End it with all that it has started and that is under way. What has ended stays, and so does its report."""
    if budgeting.cancel_held(upgrade, by=by, reason=reason):
        return upgrade
    with transaction.atomic():
        upgrade = _locked(upgrade)
        if not upgrade.is_unfinished:
            raise Refused("There is nothing to cancel: it is not under way.", code="already_over")
        for item in upgrading.items_of(upgrade):
            for part in item.asked:
                _cancel(item.work(Part(part)), by=by, reason=reason or f"Its upgrade {upgrade} was cancelled.")
        now = leases.database_time()
        transitions.move(upgrade, JobState.CANCELLED, actor=by.email, reason=reason, finished_at=now, waiting="")
        transitions.record(upgrade, "upgrade.finished", actor=by.email)
    return upgrade


@requires(Permission.ADAPTER_DELETE)
@transaction.atomic
def delete_upgrade(upgrade: Upgrade, *, by: User) -> None:
    """Remove an order that nobody has allowed. What has done something stays, as the record of it."""
    if upgrade.state != JobState.DRAFT:
        raise Refused("Only an order that was never begun can be deleted.", code="has_begun")
    transitions.record(upgrade, "upgrade.deleted", actor=by.email)
    upgrade.delete()


def _locked(upgrade: Upgrade) -> Upgrade:
    return Upgrade.objects.select_for_update(of=("self",)).select_related("project", "old", "new").get(pk=upgrade.pk)


def _cancel(work: Any, *, by: User, reason: str) -> None:
    if work is None or JobState(work.state) in OVER:
        return
    if work.state == JobState.HELD and budgeting.cancel_held(work, by=by, reason=reason):
        return
    try:
        leases.request_cancel(work, actor=by.email, reason=reason)
    except Refused:
        pass  # it has just come to its end


# What an order must be


def _steps(steps: Sequence[str]) -> list[Step]:
    unknown = sorted(set(steps) - {step.value for step in Step})
    if unknown or not steps:
        raise Invalid("Choose some of probe, evaluate and retrain.", code="unknown_choice", field="steps")
    return [step for step in Step if step.value in steps]


def _check_numbers(margin: float, at_once: int) -> None:
    if not domain.LEAST_MARGIN <= margin <= domain.MOST_MARGIN:
        raise Invalid("A margin is between 1 and 20 points.", code="out_of_range", field="margin")
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise Invalid(f"From 1 to {MOST_AT_ONCE} adapters may go at once.", code="out_of_range", field="at_once")


def _check_bases(old: BaseModelVersion, new: BaseModelVersion) -> None:
    if new.project_id != old.project_id:
        raise Invalid("There is no such base model in this project.", code="not_found", field="new")
    for base in (old, new):
        if not base.is_ready:
            raise Refused(f"The base model {base} is not ready. Register it again first.", code="base_not_ready")
    if not families.follows(old, new):
        raise Refused(f"Nobody has said that {new} follows {old}. Declare it first.", code="not_a_successor")
    withdrawals.refuse_stale(new.project, f"base:{new.pk}")


def _check_golden(project: Project, golden: DatasetVersion | None) -> None:
    if golden is None:
        return
    if golden.dataset.project_id != project.pk:
        raise Invalid("There is no such golden set in this project.", code="not_found", field="golden")
    if golden.dataset.purpose != "golden":
        raise Invalid(f"{golden} is no golden set. Choose one.", code="wrong_purpose", field="golden")


def _chosen(old: BaseModelVersion, adapters: Sequence[Adapter] | None) -> list[Adapter]:
    if adapters is None:
        found = list(training.adapters(old.project).filter(base=old))
        if not found:
            raise Refused(f"No adapter stands on {old}.", code="nothing_to_do")
        return found
    if not adapters or any(one.base_id != old.pk for one in adapters):
        raise Invalid(f"Choose adapters that stand on {old}.", code="not_found", field="adapters")
    return list(adapters)


def _same_or_refuse(
    there: Upgrade, steps: Sequence[Step], asked: Sequence[Standing], wanted: Sequence[Standing]
) -> Upgrade:
    """The order under way, if it does all that is asked for now."""
    taken = set(there.items.values_list("adapter", flat=True))
    more = {one.adapter.pk for one in wanted} - taken
    if set(steps) == set(there.read_steps) and not more and {one.adapter.pk for one in asked} >= taken:
        return there
    raise Refused(
        f"“{there}” by {there.started_by} is under way. Wait for its end, or cancel it first.", code="under_way"
    )


def _wanted(steps: Sequence[Step], plans: Plans, one: Standing) -> bool:
    return any(plans[one.adapter.pk][part].is_wanted for part in domain.main_parts(steps))


def _nothing(steps: Sequence[Step], plans: Plans) -> str:
    parts = domain.main_parts(steps)
    why = next((by_part[part].why_not for by_part in plans.values() for part in parts if by_part[part].why_not), "")
    return why or "All of that is there already: see the report."


def _check_reason(steps: Sequence[Step], rows: Sequence[Standing], reason: str) -> None:
    if Step.EVALUATE not in steps or len(reason.strip()) >= REASON_AT_LEAST:
        return
    free = {Verdict.SAME, Verdict.INCOMPATIBLE}
    if any(one.cell.decision is None and one.cell.judgement.verdict not in free for one in rows):
        raise Invalid(
            f"Say in at least {REASON_AT_LEAST} characters why the adapters may be used on the new version. A decision "
            "with this reason is written down for each of them.",
            code="reason_missing",
            field="reason",
        )


def _create(old: BaseModelVersion, by: User, **fields: Any) -> Upgrade:
    try:
        with transaction.atomic():
            upgrade = Upgrade.objects.create(project=old.project, old=old, created_by=by, **fields)
    except IntegrityError as taken:  # only where somebody has not waited for the lock
        raise Refused("An upgrade of these two is under way.", code="under_way") from taken
    transitions.record(upgrade, "upgrade.created", actor=by.email)
    return upgrade


def _todo(parts: Sequence[Part], plans: Plans, rows: Sequence[Standing]) -> list[tuple[Standing, Part]]:
    return [(one, part) for one in rows for part in parts if plans[one.adapter.pk][part].is_wanted]


def _add_items(
    upgrade: Upgrade, rows: Sequence[Standing], plans: Plans, golden: DatasetVersion | None
) -> list[UpgradeItem]:
    return UpgradeItem.objects.bulk_create(
        UpgradeItem(
            upgrade=upgrade,
            number=number,
            adapter=one.adapter,
            golden=one.golden or golden,
            baseline=one.baseline,
            plan={part.value: plans[one.adapter.pk][part].as_dict() for part in upgrade.parts},
            use={"live": list(one.use.live), "deployments": one.use.deployments},
        )
        for number, one in enumerate(rows, 1)
    )
