"""Upgrades: many adapters at once, under the budget, through failures and cancellations, to a report."""

from decimal import Decimal

import pytest

from deployments import services, upgrading
from deployments.models import Upgrade
from deployments.selectors import families, reports, upgrade_costs
from deployments.selectors.upgrades import standings
from evaluation.models import Evaluation, Probe
from projects import budgeting, reconciler, supervision
from projects.domain.budget import OverBudget
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, Event, Hold, Project
from projects.services import budget as owners
from projects.services.lineage import withdraw_node
from tests.factories import deployments as stored
from tests.factories import upgrades as factory
from tests.factories.datasets import make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs
from tests.factories.training import make_adapter
from tests.factories.upgrades import Family, QuickFamily
from tests.integration.test_deployments_races import together
from training import services as training
from training.models import BaseDecision, Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)
    factory.engines()


def outcomes(upgrade):
    return [line["outcome"] for line in upgrade.result["adapters"]]


def held(project):
    return sum(max(hold.amount - hold.spent, Decimal(0)) for hold in Hold.objects.filter(project=project, state="open"))


# To the end


def test_probe_evaluate_and_retrain_in_one_order():
    family = Family()

    upgrade = family.run("probe", "evaluate", "retrain", only_lost=False)

    assert upgrade.state == "succeeded", upgrade.error_message
    assert outcomes(upgrade) == ["survived", "survived"], upgrade.result
    line = upgrade.result["adapters"][0]
    assert (line["drift"]["mean"] > 0.3, line["carried"]["n"], line["retrained"]["difference"]) == (True, 80, 0.0)
    decisions = BaseDecision.objects.filter(base=family.new)
    assert {(row.reason, row.evidence != "") for row in decisions} == {(factory.REASON, True)}
    assert decisions.count() == 2
    made = Run.objects.filter(base=family.new)
    assert {run.launched_with["replaces"]["adapter"] for run in made} == {one.pk for one in family.adapters}
    assert {run.recipe["rank"] for run in made} == {2} and {run.dataset_version for run in made} == {family.data}
    assert held(family.project) == 0
    assert Decimal(upgrade.result["cost"]) > 0
    assert Event.objects.filter(project=family.project, name="upgrade.finished").count() == 1


def test_what_was_looked_at_is_looked_at_again_and_paid_for():
    family = Family(1)
    held_out = make_version(project=family.project, by=family.by, rows=tickets(8, start=5_000))
    fields = {"base": family.old, "version": family.data, "validation": held_out, "name": "looked at"}
    looked = make_adapter(family.project, family.by, **fields)
    family.judge(looked)

    upgrade = family.run("retrain", only_lost=False, golden=family.golden)

    plain, item = upgrade.items.order_by("pk")
    assert item.retrain.state == "succeeded" and item.retrain.validation_version == held_out
    assert plain.retrain.validation_version is None
    assert Decimal(item.plan["retrain"]["money90"]) > Decimal(plain.plan["retrain"]["money90"])


def test_what_is_lost_comes_back_and_what_survives_is_not_trained_again():
    family = Family()
    first, second = family.adapters
    family.run("evaluate", adapters=[first])
    factory.engines(judged="worse")
    family.run("evaluate", adapters=[second])
    factory.engines()

    upgrade = family.run("retrain")

    first_item, second_item = (upgrade.items.get(adapter=adapter) for adapter in (first, second))
    assert first_item.notes["retrain"]["code"] == "survives"
    assert second_item.retrain.state == "succeeded"
    assert sorted(outcomes(upgrade)) == ["came_back", "survived"]
    report = reports.pair_report(family.old, family.new).as_dict()
    assert report["counts"] == {"survived": 1, "came_back": 1, "lost": 0, "unknown": 0}
    assert report["headline"].startswith("2 of 2 adapters can move")
    assert [line["replacement"] is None for line in report["adapters"]] == [
        line["outcome"] == "survived" for line in report["adapters"]
    ]


def test_an_order_to_train_what_is_lost_succeeds_where_nothing_is():
    family = Family(1)
    family.run("evaluate")

    upgrade = family.run("retrain")

    assert (upgrade.state, upgrade.items.get().notes["retrain"]["code"]) == ("succeeded", "survives")
    assert outcomes(upgrade) == ["survived"]


def test_a_base_of_another_shape_can_only_be_trained_for():
    family = Family(1, side=8)
    with pytest.raises(Refused, match="cannot be loaded"):
        family.order("probe", "evaluate")

    upgrade = family.run("probe", "evaluate", "retrain")

    item = upgrade.items.get()
    assert set(item.notes) == {"probe", "carried"}
    assert outcomes(upgrade) == ["came_back"]


def test_a_run_that_came_to_nothing_ends_neither_the_order_nor_the_others():
    family = Family()
    factory.engines(judged="worse")
    family.run("evaluate")
    factory.engines()
    upgrade = family.order("retrain", at_once=1)
    reconciler.sweep()
    factory.engines(trained="fail")
    supervision.claim_and_start("cpu")  # its data is counted; then the first run is queued
    training.cancel_run(upgrade.items.first().retrain, by=family.by)

    upgrade = factory.finish(upgrade)

    first, second = upgrade.items.all()
    assert (upgrade.state, first.retrain.state, second.retrain.state) == ("failed", "cancelled", "failed")
    assert [item.notes["retrain"]["code"] for item in (first, second)] == ["cancelled", "nan_loss"]
    assert second.notes["retrained"]["code"] == "nan_loss"
    assert outcomes(upgrade) == ["lost", "lost"]

    factory.engines()
    training.retry_run(first.retrain, by=family.by)
    run_jobs()
    again = family.run("retrain")  # what was made meanwhile is taken up and only judged

    assert [item.asked for item in again.items.all()] == [["retrained"], ["retrain", "retrained"]]
    assert outcomes(again) == ["came_back", "came_back"]


def test_an_order_of_which_nothing_comes_has_failed_and_says_why():
    family = Family(1)
    factory.engines(probe="fail")

    upgrade = family.run("probe")

    assert (upgrade.state, upgrade.error_message) == ("failed", "Effect proof: Its weights are damaged.")
    assert outcomes(upgrade) == ["unknown"]


def test_adapters_that_nobody_has_judged_are_judged_on_their_own_base_first():
    family = Family(1, judged=False)
    with pytest.raises(Refused, match="no golden set"):
        family.order("evaluate")

    upgrade = family.run("evaluate", golden=family.golden)

    item = upgrade.items.get()
    assert (item.asked, item.baseline.base, item.carried.base) == (["baseline", "carried"], family.old, family.new)
    assert outcomes(upgrade) == ["survived"]


def test_an_adapter_that_went_on_from_another_waits_for_that_one():
    family = Family(1)
    parent = family.adapters[0]
    family.by = parent.run.started_by
    child = factory.factory.make_adapter(family.project, family.by, base=family.old, version=family.data, parent=parent)
    with pytest.raises(Refused, match="went on from"):
        upgrading_alone(family, child)

    upgrade = family.run("retrain", only_lost=False, golden=family.golden)

    made = Run.objects.get(base=family.new, parent_adapter__isnull=False)
    assert upgrade.state == "succeeded"
    assert made.parent_adapter == Run.objects.get(base=family.new, parent_adapter=None).adapter


def upgrading_alone(family, child):
    upgrade = family.run("retrain", adapters=[child], only_lost=False, golden=family.golden)
    raise Refused(upgrade.error_message)


# Steering


def test_a_paused_order_starts_nothing_more_and_goes_on_later():
    family = Family()
    upgrade = family.order("probe", at_once=1)
    reconciler.sweep()
    services.pause_upgrade(upgrade, by=family.by)
    run_jobs()
    reconciler.sweep()
    upgrade.refresh_from_db()
    assert (upgrade.state, Probe.objects.count()) == ("paused", 1)
    assert held(family.project) > 0
    with pytest.raises(Refused, match="under way can be paused"):
        services.pause_upgrade(upgrade, by=family.by)

    services.resume_upgrade(upgrade, by=family.by)

    upgrade = factory.finish(upgrade)
    assert (upgrade.state, Probe.objects.filter(state="succeeded").count()) == ("succeeded", 2)


def test_cancelling_ends_what_it_has_started_and_lets_go_of_the_money():
    family = Family()
    strange = stored_probe(family)
    upgrade = family.order("probe")
    reconciler.sweep()

    services.cancel_upgrade(upgrade, by=family.by, reason="The provider changed its mind.")

    upgrade.refresh_from_db()
    assert upgrade.state == "cancelled"
    assert set(Probe.objects.exclude(pk=strange.pk).values_list("state", flat=True)) == {"cancelled"}
    strange.refresh_from_db()
    assert strange.state == "queued"  # it was somebody else's, and only taken up
    assert held(family.project) == 0
    with pytest.raises(Refused, match="not under way"):
        services.cancel_upgrade(upgrade, by=family.by)
    assert reconciler.sweep() and upgrading.advance(upgrade.pk) == 0


def stored_probe(family):
    from evaluation import services as judging

    return judging.probe_pair(family.adapters[0], by=family.by, base=family.new, golden=family.golden)


def test_somebody_who_lost_their_rights_starts_nothing_more():
    family = Family(1)
    upgrade = family.order("probe")
    family.project.memberships.filter(user=family.by).update(role=Role.VIEWER)

    upgrade = factory.finish(upgrade)

    assert (upgrade.state, upgrade.items.get().notes["probe"]["code"]) == ("failed", "permission")


def test_a_base_that_is_withdrawn_takes_no_order_and_trains_nothing_more():
    family = Family(1)
    upgrade = family.order("retrain", only_lost=False)
    owner = make_member(family.project, Role.OWNER)
    withdraw_node(
        family.project,
        by=owner,
        node=f"base:{family.new.pk}",
        cause="withdrawn",
        reason="The provider has withdrawn it.",
    )

    upgrade = factory.finish(upgrade)

    assert (upgrade.state, upgrade.items.get().notes["retrain"]["code"]) == ("failed", "stale_ancestor")
    assert not Run.objects.filter(base=family.new).exists()
    with pytest.raises(Refused, match="withdrawn") as refused:
        family.order("probe")
    assert refused.value.code == "stale_ancestor"


# Money


def quick(**fields):
    return QuickFamily(project=make_project(**fields))


def test_what_all_of_it_may_cost_is_held_and_each_part_takes_its_share():
    family = quick(monthly_budget=Decimal(1000))
    upgrade = family.order("probe", "evaluate", at_once=1)
    whole = Decimal(upgrade.projection["p90"])
    assert held(family.project) == whole > 0

    upgrading.advance(upgrade.pk)

    labels = set(Hold.objects.filter(project=family.project, state="open").values_list("job_label", flat=True))
    assert labels == {"deployments.upgrade", "evaluation.probe"} or Probe.objects.count() == 0
    assert held(family.project) == whole


def test_beyond_the_budget_it_waits_for_a_yes_and_goes_on_with_it():
    family = quick(monthly_budget=Decimal(0))
    with pytest.raises(OverBudget):
        family.order("probe")
    assert not Upgrade.objects.exists()

    upgrade = family.order("probe", budget_reason="The old version ends on Friday.")
    assert (upgrade.state, upgrading.advance(upgrade.pk)) == ("held", 0)
    again = family.order("probe", by=make_member(family.project), budget_reason="Me too.")
    assert again == upgrade
    owner = make_member(family.project, Role.OWNER)
    owners.approve_request(budgeting.open_request(upgrade), by=owner)

    assert upgrading.advance(upgrade.pk) > 0
    upgrade.refresh_from_db()
    assert upgrade.state == "running"


def test_a_no_leaves_an_order_that_can_be_given_again_or_deleted():
    family = quick(monthly_budget=Decimal(0))
    upgrade = family.order("probe", budget_reason="The old version ends on Friday.")
    owner = make_member(family.project, Role.OWNER)
    owners.decline_request(budgeting.open_request(upgrade), by=owner, reason="Next month.")
    upgrade.refresh_from_db()
    assert upgrade.state == "draft"

    Project.objects.filter(pk=family.project.pk).update(monthly_budget=Decimal(1000))
    other = family.order("probe")

    assert (other.state, other != upgrade) == ("queued", True)
    services.delete_upgrade(upgrade, by=family.by)
    with pytest.raises(Refused, match="never begun"):
        services.delete_upgrade(other, by=family.by)


def test_a_run_that_costs_more_than_its_share_waits_for_the_month_and_says_so():
    family = Family(1, project=make_project(monthly_budget=Decimal(1000)))
    upgrade = family.order("retrain", only_lost=False)
    item = upgrade.items.get()
    item.plan["retrain"]["money90"] = "0.000001"  # as where prices have risen since it was ordered
    item.save()
    Project.objects.filter(pk=family.project.pk).update(monthly_budget=Decimal(0))

    reconciler.sweep()
    supervision.claim_and_start("cpu")  # counts its data; then the run would begin

    upgrade.refresh_from_db()
    assert (upgrade.state, "budget" in upgrade.waiting) == ("running", True), upgrade.waiting
    assert upgrade.items.get().notes == {}
    Project.objects.filter(pk=family.project.pk).update(monthly_budget=Decimal(1000))
    upgrade = factory.finish(upgrade)
    assert (upgrade.state, upgrade.waiting) == ("succeeded", "")


# Orders


def test_the_same_order_twice_is_one_and_another_is_refused():
    family = QuickFamily(3)
    first, second, third = family.adapters
    upgrade = family.order("probe", adapters=[first, second])

    assert family.order("probe", adapters=[second, first], by=make_member(family.project)) == upgrade
    for steps, adapters in ((("probe",), [first]), (("probe",), [first, third]), (("retrain",), [first, second])):
        with pytest.raises(Refused, match="is under way") as refused:
            family.order(*steps, adapters=adapters)
        assert refused.value.code == "under_way"
    assert AuditEvent.objects.filter(action="upgrade.created").count() == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"steps": ["merge"]}, "unknown_choice"),
        ({"steps": []}, "unknown_choice"),
        ({"margin": 0.5}, "out_of_range"),
        ({"at_once": 99}, "out_of_range"),
        ({"adapters": []}, "not_found"),
        ({"steps": ["evaluate"], "reason": "short"}, "reason_missing"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(fields, code):
    family = QuickFamily(1)
    given = {"steps": ["probe"], "reason": factory.REASON} | fields

    with pytest.raises(Invalid) as refused:
        services.start_upgrade(family.old, by=family.by, new=family.new, **given)

    assert refused.value.code == code


def test_nothing_of_other_projects_is_taken():
    family, other = QuickFamily(1), QuickFamily(1)
    for fields in ({"new": other.new}, {"adapters": other.adapters}, {"golden": other.golden}):
        given = {"new": family.new, "steps": ["probe"], "reason": factory.REASON} | fields
        with pytest.raises(Invalid) as refused:
            services.start_upgrade(family.old, by=family.by, **given)
        assert refused.value.code == "not_found"


def test_what_is_there_already_is_not_done_again():
    family = Family(1)
    family.run("probe", "evaluate")

    with pytest.raises(Refused, match="there already") as refused:
        family.order("probe", "evaluate")

    assert refused.value.code == "nothing_to_do"
    assert (Probe.objects.count(), Evaluation.objects.count()) == (1, 2)


# Families


def test_a_base_follows_another_by_declaration_and_never_in_a_circle():
    family = QuickFamily(1, declared=False)
    with pytest.raises(Refused, match="Declare it first") as refused:
        family.order("probe")
    assert refused.value.code == "not_a_successor"
    third = stored.make_base(family.project, family.by)
    declare = services.declare_successor
    row = declare(family.old, by=family.by, new=family.new)
    assert declare(family.old, by=family.by, new=family.new) == row
    declare(family.new, by=family.by, new=third)

    assert families.follows(family.old, third)
    for old, new in ((third, family.old), (family.new, family.old), (third, family.new)):
        with pytest.raises(Refused, match="circle"):
            declare(old, by=family.by, new=new)
    with pytest.raises(Invalid, match="itself"):
        declare(third, by=family.by, new=third)
    pair = families.pairs(family.project)[0]
    assert (pair.old, pair.new, pair.between) == (family.old, third, (family.new,))
    services.withdraw_successor(row, by=family.by)
    assert families.pairs(family.project) == []


def test_revisions_of_one_repository_follow_each_other_by_themselves():
    family = QuickFamily(2, declared=False)
    assert families.pairs(family.project) == []
    for base in (family.old, family.new):
        base.source, base.repo_id = "hub", "maker/tiny"
        base.save()

    pair = families.pairs(family.project)[0]

    assert (pair.old, pair.new, pair.adapters, pair.untouched, pair.declared) == (family.old, family.new, 2, 2, None)
    assert not families.follows(family.new, family.old)


def test_what_is_used_most_comes_first():
    family = QuickFamily(3)
    live = family.adapters[2]
    stored.make_live(live)

    rows = standings(family.old, family.new)

    assert [one.adapter for one in rows] == [live, family.adapters[0], family.adapters[1]]
    assert rows[0].use.live == ("production",)
    assert families.pairs(family.project)[0].live == 1


def test_every_part_has_an_estimate_that_rests_on_something():
    family = Family(1)
    rows = standings(family.old, family.new)
    known = upgrade_costs.costs(rows, family.new)
    planned = upgrade_costs.plans(rows, known)[family.adapters[0].pk]

    assert {part.value: one.estimate.source for part, one in planned.items() if one.estimate} == {
        "probe": "formula", "carried": "same", "retrain": "projection", "retrained": "same",
    }  # fmt: skip
    assert planned["baseline"].is_there
    assert all(one.estimate.money90 >= one.estimate.money50 > 0 for one in planned.values() if one.estimate)


# Many at once


def test_two_who_press_at_once_get_one_order_and_replicas_start_what_one_would():
    family = QuickFamily(3)
    others = [make_member(family.project) for _ in range(4)]

    ends = together(*[lambda by=by: family.order("probe", by=by, at_once=2).pk for by in others])

    upgrade = Upgrade.objects.get()
    assert ends == ["done"] * 4
    assert held(family.project) == Decimal(upgrade.projection["p90"])
    together(*[lambda: upgrading.advance(upgrade.pk)] * 6)
    reconciler.sweep()
    assert Probe.objects.filter(state="queued").count() == 2
    assert held(family.project) == pytest.approx(Decimal(upgrade.projection["p90"]), abs=Decimal("0.00001"))


def test_an_order_that_is_cancelled_among_replicas_leaves_nothing_at_work():
    family = QuickFamily(3)
    upgrade = family.order("probe")

    together(
        *[lambda: upgrading.advance(upgrade.pk)] * 3,
        lambda: services.cancel_upgrade(Upgrade.objects.get(pk=upgrade.pk), by=family.by),
        *[lambda: upgrading.advance(upgrade.pk)] * 3,
    )
    reconciler.sweep()

    upgrade.refresh_from_db()
    assert upgrade.state == "cancelled"
    assert not Probe.objects.exclude(state="cancelled").exists()
    assert held(family.project) == 0
