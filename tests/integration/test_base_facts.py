"""What no file of a base says: licence, its terms, end of life; written down by people, with a history."""

from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from deployments.selectors import evidence
from projects.domain.permissions import Role
from projects.models import AuditEvent
from tests.factories import deployments as shipping
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project
from training import selectors


def api_client(person):
    client = APIClient()
    client.force_authenticate(person)
    return client


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
SOURCE = "Announced by its maker."


def page(base, name="base-detail"):
    return reverse(name, args=[base.project.slug, base.pk])


def address(base):
    return f"/api/v1/projects/{base.project.slug}/bases/{base.pk}/"


def test_an_engineer_writes_down_an_end_of_life_and_everybody_sees_who_and_why(client):
    base = factory.make_base()
    engineer = make_member(base.project, Role.ENGINEER)
    client.force_login(engineer)
    form = client.get(page(base, "base-change")).content.decode()
    assert 'value="apache-2.0"' in form

    answer = client.post(
        page(base, "base-change"),
        {"licence": "apache-2.0", "licence_link": "", "terms": "", "end_of_life": "2031-05-01", "reason": SOURCE},
    )

    assert (answer.status_code, answer.url) == (302, page(base))
    base.refresh_from_db()
    assert base.end_of_life == date(2031, 5, 1)
    line = AuditEvent.objects.get(action="basemodelversion.changed")
    assert (line.actor, line.reason, line.detail) == (engineer.email, SOURCE, {"end_of_life": [None, "2031-05-01"]})
    client.force_login(make_member(base.project, Role.VIEWER))
    shown = client.get(page(base)).content.decode()
    assert "1 May 2031" in shown and SOURCE in shown and engineer.email in shown
    assert page(base, "base-change") not in shown
    assert "1 May 2031" in client.get(reverse("base-list", args=[base.project.slug])).content.decode()


def test_the_api_takes_what_is_given_and_leaves_the_rest():
    base = factory.make_base()
    api = api_client(make_member(base.project, Role.ENGINEER))

    answer = api.patch(address(base), {"end_of_life": "2030-01-31", "reason": SOURCE}, format="json")

    assert answer.status_code == 200, answer.json()
    told = answer.json()
    assert (told["end_of_life"], told["licence"], told["terms"]) == ("2030-01-31", "apache-2.0", "")
    assert told["licence_terms"]["known"] and told["licence_terms"]["commercial"]
    assert [duty["code"] for duty in told["licence_terms"]["duties"]] == ["attribution"]

    answer = api.patch(
        address(base), {"licence": "acme-internal", "terms": "Ask Kim.", "end_of_life": None, "reason": "Contract 7."},
        format="json",
    )  # fmt: skip

    told = answer.json()
    assert told["end_of_life"] is None
    assert (told["licence_terms"]["known"], told["licence_terms"]["own"]) == (False, "Ask Kim.")
    assert [change.reason for change in selectors.base_changes(base)] == ["Contract 7.", SOURCE]


def test_nothing_changed_is_nothing_written():
    base = factory.make_base()
    api = api_client(make_member(base.project, Role.ENGINEER))
    assert api.patch(address(base), {"licence": "apache-2.0", "reason": ""}, format="json").status_code == 400
    assert api.patch(address(base), {"licence": "apache-2.0", "reason": "The same."}, format="json").status_code == 200
    assert selectors.base_changes(base) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"licence": "mit", "reason": "  "}, "reason"),
        ({"licence": "mit"}, "reason"),
        ({"licence": "a\x00b", "reason": SOURCE}, "licence"),
        ({"licence_link": "javascript:alert(1)", "reason": SOURCE}, "licence_link"),
        ({"licence_link": "https://x y", "reason": SOURCE}, "licence_link"),
        ({"end_of_life": "1066-10-14", "reason": SOURCE}, "end_of_life"),
        ({"end_of_life": "soon", "reason": SOURCE}, "end_of_life"),
        ({"parameters": 3, "reason": SOURCE}, "parameters"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(given, field, client):
    base = factory.make_base()
    member = make_member(base.project, Role.ENGINEER)

    answer = api_client(member).patch(address(base), given, format="json")

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    client.force_login(member)
    if field != "parameters":
        assert client.post(page(base, "base-change"), given).status_code == 400
    base.refresh_from_db()
    assert (base.licence, base.licence_link, base.end_of_life) == ("apache-2.0", "", None)


def test_members_without_the_right_and_strangers_cannot(client):
    base = factory.make_base()
    given = {"end_of_life": "2030-01-31", "reason": SOURCE}
    reviewer, stranger = make_member(base.project, Role.REVIEWER), make_member(make_project())
    for person, code in [(reviewer, 403), (stranger, 404)]:
        assert api_client(person).patch(address(base), given, format="json").status_code == code
        client.force_login(person)
        assert client.get(page(base, "base-change")).status_code == code
        assert client.post(page(base, "base-change"), given).status_code == code


def test_a_base_that_is_not_ready_has_nothing_to_change(settings):
    base = factory.make_base(source="hub", path="", repo_id="acme/model")
    answer = api_client(base.registered_by).patch(address(base), {"licence": "mit", "reason": SOURCE}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "base_not_ready")


def test_a_card_of_a_licence_without_identifier_is_read_by_its_name_and_link(settings):
    folder = settings.MODELS_DIR / factory.make_model_folder("research")
    card = "---\nlicense: other\nlicense_name: qwen-research\nlicense_link: https://example.org/LICENSE\n---\n"
    (folder / "README.md").write_text(card)
    base = factory.make_base(path="research")
    assert (base.licence, base.licence_link) == ("qwen-research", "https://example.org/LICENSE")
    assert base.licence_terms.commercial is False


def test_terms_stand_where_an_adapter_is_judged_taken_out_and_live(client):
    live = shipping.make_live()
    adapter = live.adapter
    adapter.base.licence = "llama3.1"
    adapter.base.save(update_fields=["licence"])
    client.force_login(make_member(live.project, Role.REVIEWER))
    for shown in (adapter, live.request, live.slot):
        told = client.get(shown.get_absolute_url()).content.decode()
        assert "700 million" in told and "Built with Llama" in told, shown


def test_reviewers_are_asked_again_when_the_terms_change():
    asked = shipping.make_request()
    assert evidence.changes_since(asked) == []
    base = asked.adapter.base
    base.terms, base.end_of_life = "No health advice.", timezone.localdate() + timedelta(days=30)
    base.save(update_fields=["terms", "end_of_life"])

    changed = {change.field: change.after for change in evidence.changes_since(asked)}

    assert changed["base/terms"] == "No health advice." and "base/end_of_life" in changed
    assert base.ends_soon and not base.has_ended
