"""Starting one part of an upgrade: what is there already is taken up, the rest begins as a person would begin it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from deployments.domain.upgrades import Part
from deployments.models import Upgrade, UpgradeItem
from deployments.selectors.upgrades import standings
from evaluation import selectors as evaluations
from evaluation import services as judging
from evaluation.models import Evaluation, Probe
from projects import holds, leases
from projects.domain.errors import Refused
from projects.domain.states import ACTIVE, WAITS_FOR_PEOPLE, JobState
from projects.models import User
from training import selectors as training
from training import services as training_services
from training.models import Adapter, Run

NAME_AT_MOST = 120
SURVIVES = "survives"


def start(upgrade: Upgrade, item: UpgradeItem, part: Part) -> str:
    """Take up or start it, with its share of what is held for the upgrade. In one transaction with what calls it.

    Returns what has to happen first, if something has to; then the next step looks again.
    """
    there = _TAKE_UP[part](upgrade, item)
    if there is None:
        if part == Part.RETRAIN and (first := _before_training(upgrade, item)):
            return first
        there = _begin(upgrade, item, part)
        item.asked = [*item.asked, part.value]
    setattr(item, part.value, there)
    item.save(update_fields=[part.value, "asked"])
    return ""


def _begin(upgrade: Upgrade, item: UpgradeItem, part: Part) -> Any:
    """Its share leaves the whole's hold first, so that the month has room for what the part itself holds."""
    holds.lock(upgrade.project)
    told = item.plan.get(part.value, {}).get("money90")
    share = Decimal(told) if told else None
    if share:
        holds.take(upgrade, share)
    work = _BEGIN[part](upgrade, item)
    if part != Part.RETRAIN:  # runs hold their own P90 when they are started
        holds.open_hold(work, amount=share, now=leases.database_time())
    return work


def _by(upgrade: Upgrade) -> User:
    assert upgrade.started_by is not None
    return upgrade.started_by


# What is there already


def _baseline(upgrade: Upgrade, item: UpgradeItem) -> Evaluation | None:
    return _evaluated(item.adapter, upgrade.old_id, item)


def _probed(upgrade: Upgrade, item: UpgradeItem) -> Probe | None:
    rows = evaluations.probes(upgrade.project).filter(adapter=item.adapter, base=upgrade.new)
    return rows.filter(state=JobState.SUCCEEDED).first() or rows.filter(state__in=ACTIVE).first()


def _carried(upgrade: Upgrade, item: UpgradeItem) -> Evaluation | None:
    return _evaluated(item.adapter, upgrade.new_id, item)


def _trained(upgrade: Upgrade, item: UpgradeItem) -> Run | None:
    """A run that an earlier upgrade has begun for the same adapter, unless it came to nothing."""
    earlier = UpgradeItem.objects.filter(adapter=item.adapter, upgrade__new=upgrade.new).exclude(retrain=None)
    states = [JobState.SUCCEEDED, *ACTIVE, *WAITS_FOR_PEOPLE]
    found = earlier.filter(retrain__state__in=states).select_related("retrain__adapter").order_by("-pk").first()
    return found.retrain if found else None


def _retrained(upgrade: Upgrade, item: UpgradeItem) -> Evaluation | None:
    return _evaluated(_replacement(item), upgrade.new_id, item)


def _evaluated(adapter: Adapter, base: int, item: UpgradeItem) -> Evaluation | None:
    golden = item.baseline.golden_id if item.baseline else item.golden_id
    rows = Evaluation.objects.filter(adapter=adapter, base=base, golden=golden).order_by("-pk")
    return rows.filter(state=JobState.SUCCEEDED).first() or rows.filter(state__in=ACTIVE).first()


def _replacement(item: UpgradeItem) -> Adapter:
    made = getattr(item.retrain, "adapter", None)
    if made is None:
        raise Refused("The run has left no adapter.", code="no_adapter")
    return made  # type: ignore[no-any-return]


# What begins now


def _judge_on_own(upgrade: Upgrade, item: UpgradeItem) -> Evaluation:
    if item.golden is None:
        raise Refused("There is no golden set that it was judged by. Choose one.", code="no_golden")
    return judging.start_evaluation(item.adapter, by=_by(upgrade), golden=item.golden)


def _probe(upgrade: Upgrade, item: UpgradeItem) -> Probe:
    if item.golden is None:
        raise Refused("There is no golden set that it was judged by. Choose one.", code="no_golden")
    return judging.probe_pair(item.adapter, by=_by(upgrade), base=upgrade.new, golden=item.golden)


def _carry_over(upgrade: Upgrade, item: UpgradeItem) -> Evaluation:
    """The same questions on the new version; where it is not the same, the reason of the upgrade answers for it."""
    adapter, new = item.adapter, upgrade.new
    if adapter.base.fingerprint != new.fingerprint and training.standing_decision(adapter, new) is None:
        training_services.decide_on_base(adapter, by=_by(upgrade), base=new, reason=upgrade.reason)
    return judging.start_evaluation(adapter, by=_by(upgrade), base=new, **_as_before(item))


def _judge_replacement(upgrade: Upgrade, item: UpgradeItem) -> Evaluation:
    return judging.start_evaluation(_replacement(item), by=_by(upgrade), **_as_before(item))


def _as_before(item: UpgradeItem) -> dict[str, Any]:
    """Golden set, graders and settings of the evaluation that all others are held against."""
    before = item.baseline
    if before is None:
        raise Refused("There is nothing to hold its answers against.", code="no_baseline")
    graders = [name for name in before.graders if isinstance(name, str)]
    known = {name: before.settings.get(name) for name in ("max_new_tokens", "limit")}
    return known | {
        "golden": before.golden,
        "retention": before.retention,
        "graders": graders,
        "seed": before.settings.get("seed") or 0,
    }


def _train(upgrade: Upgrade, item: UpgradeItem) -> Run:
    """The old recipe on the old data, from the new version."""
    old = item.adapter.run
    assert old is not None
    return training_services.launch_run(
        upgrade.project,
        by=_by(upgrade),
        name=f"{item.adapter.name} on {upgrade.new}"[:NAME_AT_MOST],
        base=upgrade.new,
        version=old.dataset_version,
        recipe=old.recipe,
        parent=_parent(upgrade, old)[0],
        validation=training.validation_again(old, old.dataset_version),
        leak_reason=str(old.launched_with.get("leak_reason") or ""),
        replaces=item.adapter,
    )


def _before_training(upgrade: Upgrade, item: UpgradeItem) -> str:
    """Refused where it cannot or need not be trained; else what comes first, such as counting its data."""
    old = item.adapter.run
    if old is None:
        raise Refused("It was imported, so nobody here knows its recipe.", code="no_recipe")
    if upgrade.only_lost and _survives(upgrade, item):
        raise Refused("It survives as it is, so it is not trained again.", code=SURVIVES)
    if first := _parent(upgrade, old)[1]:
        return first
    for version in filter(None, (old.dataset_version, training.validation_again(old, old.dataset_version))):
        profile = training.profile_for(version, upgrade.new)
        if profile is not None and profile.state == JobState.FAILED:
            raise Refused(f"Its data could not be counted in tokens: {profile.error_message}", code=profile.error_code)
        if profile is None or not profile.is_ready:
            training_services.measure_tokens(version, by=_by(upgrade), base=upgrade.new)
            return f"{version} is being counted in tokens of {upgrade.new}."
    return ""


def _survives(upgrade: Upgrade, item: UpgradeItem) -> bool:
    found = standings(upgrade.old, upgrade.new, adapters=[item.adapter], margin=upgrade.margin)[0].found
    return found is not None and found.as_is is True


def _parent(upgrade: Upgrade, old: Run) -> tuple[Adapter | None, str]:
    """What it went on from, as trained again on the new version; or that this has to come first."""
    parent = old.parent_adapter
    if parent is None or parent.base_id == upgrade.new_id:
        return parent, ""
    mine = UpgradeItem.objects.filter(adapter=parent, upgrade__new=upgrade.new).exclude(retrain=None)
    done = mine.filter(retrain__state=JobState.SUCCEEDED).select_related("retrain__adapter").order_by("-pk").first()
    if done is not None and done.retrain is not None:
        return done.retrain.adapter, ""
    here = upgrade.items.filter(adapter=parent).first()
    if here is not None and Part.RETRAIN not in here.notes and Part.RETRAIN in upgrade.parts:
        return None, f"It went on from {parent}, which is trained again first."
    raise Refused(
        f"It went on from {parent}, which is not on the new version. Train that one again first.", code="parent_missing"
    )


_TAKE_UP: dict[Part, Callable[[Upgrade, UpgradeItem], Any]] = {
    Part.BASELINE: _baseline,
    Part.PROBE: _probed,
    Part.CARRIED: _carried,
    Part.RETRAIN: _trained,
    Part.RETRAINED: _retrained,
}
_BEGIN: dict[Part, Callable[[Upgrade, UpgradeItem], Any]] = {
    Part.BASELINE: _judge_on_own,
    Part.PROBE: _probe,
    Part.CARRIED: _carry_over,
    Part.RETRAIN: _train,
    Part.RETRAINED: _judge_replacement,
}
