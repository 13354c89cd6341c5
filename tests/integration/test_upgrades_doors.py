"""Upgrades by their two doors: pages and API say and refuse the same, to the same people."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.models import Succession, Upgrade
from projects import contributions, reconciler
from projects.domain.permissions import Role
from projects.selectors import overview
from tests.factories import deployments as stored
from tests.factories import upgrades as factory
from tests.factories.projects import make_member, make_project, make_user
from tests.factories.upgrades import Family, QuickFamily

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)
    factory.engines()


@pytest.fixture
def family(client):
    found = QuickFamily(2)
    client.force_login(found.by)
    return found


def page(family, name, *more):
    return reverse(name, args=[family.project.slug, *more])


def pair(family, name="upgrade-plan", *more):
    return page(family, name, family.old.pk, family.new.pk, *more)


def api(family, rest=""):
    return f"/api/v1/projects/{family.project.slug}/upgrades/{rest}"


def post(client, url, **data):
    return client.post(url, data, content_type="application/json")


def text(response):
    return response.content.decode()


def order(family, **fields):
    base = {"old": family.old.pk, "new": family.new.pk, "steps": ["probe"], "reason": factory.REASON}
    return base | fields


# Pages


def test_the_list_shows_what_is_orphaned_and_who_said_so(client, family):
    shown = text(client.get(page(family, "upgrade-list")))

    assert f"{family.old} → {family.new}" in shown
    assert f"declared by {family.by}" in shown
    assert "none yet" in shown


def test_a_project_without_a_second_version_is_told_when_this_begins_to_matter(client):
    project = make_project()
    client.force_login(make_member(project))

    assert "Nothing to bring over yet" in text(client.get(reverse("upgrade-list", args=[project.slug])))


def test_the_plan_says_what_each_step_would_take(client, family):
    response = client.get(pair(family))
    shown = text(response)

    assert response.status_code == 200
    assert shown.index(str(family.adapters[0])) < shown.index(str(family.adapters[1]))
    for words in ("Probe all", "Re-evaluate all", "Retrain all", "2 adapters", "Why the adapters may be used"):
        assert words in shown
    assert "Unknown" in shown and "Drifted" in shown


def test_a_plan_of_a_base_without_adapters_says_so(client, family):
    empty = stored.make_base(family.project, family.by)

    shown = text(client.get(page(family, "upgrade-plan", empty.pk, family.new.pk)))

    assert "No adapter stands on the old version" in shown
    assert "Nobody has said that" in shown
    assert "This is the way back" in text(client.get(page(family, "upgrade-plan", family.new.pk, family.old.pk)))
    assert client.get(page(family, "upgrade-plan", family.old.pk, family.old.pk)).status_code == 404


def test_an_order_from_the_page_goes_to_its_own_page_and_again_to_the_same(client, family):
    fields = {"steps": "probe", "margin": "5", "at_once": "4", "only_lost": "on", "reason": ""}
    first = client.post(pair(family, "upgrade-start"), fields)
    upgrade = Upgrade.objects.get()
    assert first["Location"] == upgrade.get_absolute_url()
    assert (upgrade.steps, upgrade.items.count(), upgrade.margin) == (["probe"], 2, 0.05)

    client.force_login(make_member(family.project))
    second = client.post(pair(family, "upgrade-start"), fields, follow=True)

    assert second.redirect_chain[0][0] == upgrade.get_absolute_url()
    assert "has ordered the same already" in text(second)
    assert "An order of these two is under way" in text(client.get(pair(family)))


def test_a_refusal_stands_on_the_page_with_what_was_ticked(client, family):
    ticked = str(family.adapters[1].pk)
    fields = {"steps": "evaluate", "margin": "5", "at_once": "4", "reason": "no", "adapters": ticked}

    response = client.post(pair(family, "upgrade-start"), fields)

    assert response.status_code == 400
    assert "Say in at least 10 characters" in text(response)
    assert f'value="{ticked}" checked' in text(response)
    assert not Upgrade.objects.exists()


def test_several_steps_can_be_ordered_with_one_button(client, family):
    fields = {"steps": "probe,evaluate,retrain", "margin": "3", "at_once": "2", "reason": factory.REASON}

    client.post(pair(family, "upgrade-start"), fields)

    upgrade = Upgrade.objects.get()
    assert (upgrade.steps, upgrade.margin, upgrade.only_lost) == (["probe", "evaluate", "retrain"], 0.03, False)


def test_an_order_at_work_polls_itself_until_it_is_over(client):
    family = Family(1)
    client.force_login(family.by)
    upgrade = family.order("probe")
    reconciler.sweep()
    shown = text(client.get(upgrade.get_absolute_url()))
    assert 'hx-trigger="every 3s"' in shown and "0 of 1 adapters through" in shown

    factory.finish(upgrade)

    fragment = client.get(page(family, "upgrade-status", upgrade.pk))
    assert fragment["HX-Refresh"] == "true"
    assert "hx-trigger" not in text(fragment)
    assert "1 unknown" in text(fragment)


def test_pause_resume_cancel_and_delete_by_their_buttons(client, family):
    upgrade = family.order("probe")
    for name, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        client.post(page(family, f"upgrade-{name}", upgrade.pk))
        upgrade.refresh_from_db()
        assert upgrade.state == state
        assert client.get(upgrade.get_absolute_url()).status_code == 200
    refused = client.post(page(family, "upgrade-delete", upgrade.pk))
    assert refused.status_code == 409


def test_the_report_is_a_page_and_two_files():
    from django.test import Client

    client, family = Client(), Family(1)
    client.force_login(family.by)
    family.run("probe", "evaluate", "retrain", only_lost=False)

    shown = text(client.get(pair(family, "upgrade-report")))
    told = json.loads(client.get(pair(family, "upgrade-report-file", "json")).content)
    markdown = client.get(pair(family, "upgrade-report-file", "md"))

    assert "1 of 1 adapters can move to the new version" in shown
    assert "1 of 1 are as good carried over, 1 of 1 as good retrained" in shown
    assert 'id="upgrade-scores"' in shown and 'id="upgrade-costs"' in shown
    assert told["counts"]["survived"] == 1
    assert told["adapters"][0]["retrained"]["n"] == 80
    assert markdown["Content-Disposition"].endswith('.md"') and "| Survived |" in text(markdown)
    assert client.get(pair(family, "upgrade-report-file", "exe")).status_code == 404
    made = text(client.get(family.adapters[0].upgrade_items.first().retrain.adapter.get_absolute_url()))
    assert "Replaces" in made and str(family.adapters[0]) in made


def test_a_successor_is_declared_and_taken_back(client):
    family = QuickFamily(1, declared=False)
    client.force_login(family.by)
    url = page(family, "successor-declare")

    made = client.post(url, {"old": family.old.pk, "new": family.new.pk})
    assert made["Location"] == pair(family)
    circle = client.post(url, {"old": family.new.pk, "new": family.old.pk})
    assert (circle.status_code, "circle" in text(circle)) == (409, True)
    assert client.post(url, {"old": family.new.pk, "new": 10**9}).status_code == 400

    client.post(page(family, "successor-withdraw", Succession.objects.get().pk))
    assert not Succession.objects.exists()
    assert "Nobody has said that" in text(client.get(pair(family)))


# Elsewhere


def test_the_overview_and_the_base_pages_say_what_waits_and_what_ends(client, family):
    family.old.end_of_life = timezone.localdate() + timedelta(days=20)
    family.old.save()

    shown = text(client.get(reverse("project-overview", args=[family.project.slug])))
    new, old = (text(client.get(base.get_absolute_url())) for base in (family.new, family.old))

    assert f"2 adapters stand on {family.old}, and {family.new} follows it: plan the upgrade" in shown
    assert "Bases that end" in shown and "in 20 days" in shown
    assert f"{family.old} ends in 20 days: 2 adapters on it" in shown
    assert pair(family) in shown and pair(family) in new and pair(family) in old
    assert f"2 adapters stand on {family.old}, which this version follows" in new
    assert f"{family.new} follows this version, which ends in 20 days" in old


@pytest.mark.parametrize(("days", "tone"), [(-3, "failed"), (20, "attention"), (80, "attention"), (200, None)])
def test_an_end_needs_people_as_it_comes_near(family, days, tone):
    family.old.end_of_life = timezone.localdate() + timedelta(days=days)
    family.old.save()

    found = [need for need in overview.needs(family.project, family.by) if need.kind == "end_of_life"]

    assert [need.tone for need in found] == ([tone] if tone else [])
    assert overview.panels(family.project)[0].it[0].ending.days == days


def test_an_order_takes_its_adapters_off_the_list_of_needs(family):
    def kinds():
        return [need.kind for need in overview.needs(family.project, family.by)]

    assert "upgrade" in kinds()
    family.order("probe")
    assert "upgrade" not in kinds()
    viewer = make_member(family.project, Role.VIEWER)
    assert overview.needs(family.project, viewer) == []
    assert len(contributions.base_panels) == 1


def test_replacements_are_told_in_the_lineage():
    family = Family(1)
    family.run("retrain", only_lost=False)
    made = family.adapters[0].upgrade_items.first().retrain.adapter
    source = next(one for one in contributions.lineage if "adapter" in one.kinds)

    node = source.nodes(family.project, [f"adapter:{made.pk}"])[0]

    assert node.detail["replaces"] == f"{family.adapters[0]} on {family.old}"


# Who may


def test_outsiders_find_nothing_and_viewers_may_only_look(client, family):
    upgrade = family.order("probe")
    gets = [
        page(family, "upgrade-list"), pair(family), pair(family, "upgrade-report"), upgrade.get_absolute_url(),
        pair(family, "upgrade-report-file", "md"), api(family), api(family, f"{upgrade.pk}/"), api(family, "pairs/"),
        api(family, f"from/{family.old.pk}/to/{family.new.pk}/"),
        api(family, f"from/{family.old.pk}/to/{family.new.pk}/report/"),
    ]  # fmt: skip
    posts = [page(family, f"upgrade-{name}", upgrade.pk) for name in ("pause", "resume", "cancel", "delete")]
    posts += [pair(family, "upgrade-start"), page(family, "successor-declare")]
    for user, seen, done in ((make_user(), 404, 404), (make_member(family.project, Role.VIEWER), 200, 403)):
        client.force_login(user)
        assert {client.get(url).status_code for url in gets} == {seen}
        assert {client.post(url).status_code for url in posts} == {done}
        assert post(client, api(family), **order(family)).status_code == done
        assert post(client, api(family, f"{upgrade.pk}/cancel/")).status_code == done


def test_what_belongs_to_another_project_is_not_found(client, family):
    other = QuickFamily(1)
    upgrade = other.order("probe")

    for url in (
        page(family, "upgrade-plan", other.old.pk, other.new.pk),
        page(family, "upgrade-report", family.old.pk, other.new.pk),
        page(family, "upgrade-detail", upgrade.pk),
        api(family, f"{upgrade.pk}/"),
        api(family, f"from/{other.old.pk}/to/{other.new.pk}/"),
    ):
        assert client.get(url).status_code == 404, url
    for fields in ({"old": other.old.pk}, {"adapters": [other.adapters[0].pk]}, {"golden": other.golden.pk}):
        answer = post(client, api(family), **order(family, **fields))
        assert (answer.status_code, answer.json()["code"]) == (400, "not_in_project")


# API


def test_the_api_plans_orders_and_steers(client, family):
    plan = client.get(api(family, f"from/{family.old.pk}/to/{family.new.pk}/")).json()
    assert [(step["adapters"], step["p90"] is None) for step in plan["steps"]] == [
        (2, False),
        (2, False),
        (2, True),  # its data was never counted in tokens
    ]
    assert plan["adapters"][0]["probe"]["source"] in {"formula", "measured"}
    assert client.get(api(family, "pairs/")).json()[0]["untouched"] == 2

    made = post(client, api(family), **order(family, adapters=[family.adapters[0].pk]))
    again = post(client, api(family), **order(family, adapters=[family.adapters[0].pk]))
    assert (made.status_code, made.json()["id"]) == (201, again.json()["id"])
    assert made.json()["items"][0]["parts"] == [
        {"part": "probe", "work": None, "state": "", "asked": False, "note": None}
    ]
    more = post(client, api(family), **order(family, steps=["retrain"]))
    assert (more.status_code, more.json()["code"]) == (409, "under_way")

    one = api(family, f"{made.json()['id']}/")
    assert post(client, f"{one}pause/").json()["state"] == "paused"
    assert post(client, f"{one}resume/").json()["state"] == "queued"
    assert post(client, f"{one}cancel/", reason="Not now.").json()["state"] == "cancelled"
    assert client.delete(one).json()["code"] == "has_begun"
    assert client.get(api(family)).json()["results"][0]["state"] == "cancelled"
    report = client.get(api(family, f"from/{family.old.pk}/to/{family.new.pk}/report/")).json()
    assert report["counts"] == {"survived": 0, "came_back": 0, "lost": 0, "unknown": 2}
    markdown = client.get(api(family, f"from/{family.old.pk}/to/{family.new.pk}/report/markdown/"))
    assert markdown["Content-Type"].startswith("text/markdown")


def test_the_api_declares_successors(client):
    family = QuickFamily(1, declared=False)
    client.force_login(family.by)
    url = f"/api/v1/projects/{family.project.slug}/successions/"
    refused = post(client, api(family), **order(family))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_a_successor")

    made = post(client, url, old=family.old.pk, new=family.new.pk)
    circle = post(client, url, old=family.new.pk, new=family.old.pk)

    assert (made.status_code, circle.status_code, circle.json()["code"]) == (201, 409, "circle")
    assert client.get(url).json()["results"][0]["new"] == family.new.pk
    assert client.delete(f"{url}{made.json()['id']}/").status_code == 204
    assert client.get(url).json()["results"] == []


def test_over_the_budget_the_api_asks_for_a_reason(client):
    family = QuickFamily(1, project=make_project(monthly_budget=0))
    client.force_login(family.by)

    refused = post(client, api(family), **order(family))
    held = post(client, api(family), **order(family, budget_reason="It ends on Friday."))

    assert (refused.status_code, refused.json()["code"]) == (409, "over_budget")
    assert (held.status_code, held.json()["state"]) == (201, "held")
    shown = text(client.get(Upgrade.objects.get().get_absolute_url()))
    assert "Waits for an owner" in shown and "It ends on Friday." in shown


def test_more_adapters_do_not_ask_more_questions(client, django_assert_max_num_queries):
    family = QuickFamily(20)
    client.force_login(family.by)
    upgrade = family.order("probe", at_once=16)
    reconciler.sweep()
    for url in (pair(family), pair(family, "upgrade-report"), upgrade.get_absolute_url()):
        client.get(url)
        with django_assert_max_num_queries(60):
            assert client.get(url).status_code == 200
