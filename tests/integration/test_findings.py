"""Findings as people meet them: their pages, their rows, and the decision to live with one."""

import json

import pytest
from django.urls import reverse

from datasets_app import selectors, services
from datasets_app.models import Dismissal
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent
from tests.factories.datasets import chat, make_dataset, make_version
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "AKIA" + "Q7W2E9R4T6Y1U3I5"
REASON = "These keys were withdrawn last year."


def answers(rows: int, start: int = 0) -> list[dict]:
    return [
        chat(
            f"Question number {n}: how is part {n * 7} mended?",
            f"Part {n * 7} is mended with {n + 3} screws of kind {n}.",
        )
        for n in range(start, start + rows)
    ]


def with_secrets(rows: int, leaks: int, start: int = 0) -> list[dict]:
    leaked = [
        chat(f"Which key opens door {n + start}?", f"Door {n + start} opens with {SECRET}.") for n in range(leaks)
    ]
    return [*answers(rows, start), *leaked]


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def engineer(project, client):
    user = make_member(project)
    client.force_login(user)
    return user


@pytest.fixture
def version(project, engineer):
    return make_version(make_dataset(project, engineer), with_secrets(60, 10))


def get(client, name, version, *args, query="", **headers):
    response = client.get(reverse(name, args=[version.project.slug, version.pk, *args]) + query, headers=headers)
    content = b"".join(response) if response.streaming else response.content
    return response.status_code, content.decode()


def test_a_finding_has_a_page_with_its_rows_and_masked_places(client, version):
    status, html = get(client, "finding-detail", version, "secrets")

    assert status == 200
    assert "Secrets in the text" in html and "10 of 70 rows" in html
    assert SECRET not in html
    assert "AKIA…(20 characters)" in html and "AWS access key" in html
    assert reverse("finding-fix", args=[version.project.slug, version.pk, "secrets"]) in html


def test_a_finding_that_is_not_there_is_404(client, version):
    assert get(client, "finding-detail", version, "bidi_controls")[0] == 404
    assert get(client, "finding-detail", version, "no_such_thing")[0] == 404
    assert get(client, "finding-rows", version, "no_such_thing")[0] == 404


def test_the_database_and_the_log_hold_no_secret(version, caplog):
    finding = version.findings.get(code="secrets")

    assert SECRET not in json.dumps(finding.detail)
    assert SECRET[4:] not in caplog.text
    place = finding.detail["previews"][0]
    assert {"row", "segment", "start", "end", "kind", "preview"} == set(place)


def test_the_rows_of_a_finding_are_downloaded_with_their_places(client, version):
    _, text = get(client, "finding-rows", version, "secrets")

    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["row"] for row in rows] == list(range(60, 70))
    place = rows[0]["places"][0]
    content = rows[0]["messages"][place["turn"]]["content"]
    assert content[place["start"] : place["end"]] == SECRET


def test_copies_and_conflicting_answers_are_shown_side_by_side(client, project, engineer):
    rows = [*answers(40), answers(1)[0], chat("Who leads the night shift?", "Maria leads the night shift this year.")]
    rows.append(chat("Who leads the night shift?", "Nobody does, because the night shift was given up."))
    version = make_version(make_dataset(project, engineer), rows)

    _, copies = get(client, "finding-detail", version, "exact_duplicates")
    _, conflicts = get(client, "finding-detail", version, "conflicting_answers")

    assert "Equal in every word" in copies
    assert "<del>" in conflicts and "<ins>" in conflicts


def test_json_answers_that_break_the_schema_are_named_by_path(client, project, engineer):
    good = [
        chat(f"Ticket {n} about part {n}", json.dumps({"queue": "billing", "items": [{"n": n, "name": f"part {n}"}]}))
        for n in range(60)
    ]
    bad = chat("Ticket 99 about part 99", json.dumps({"queue": 5, "items": [{"name": "part 99"}]}))
    version = make_version(make_dataset(project, engineer), [*good, bad])

    _, html = get(client, "finding-detail", version, "answer_json_shape")

    assert "$.queue has another type: found number, expected string" in html
    assert "$.items[].n" in html


def test_a_dismissed_finding_no_longer_counts_but_is_listed_as_decided(client, version, engineer):
    dataset = version.dataset
    before = selectors.verdict(dataset, version)

    response = client.post(
        reverse("finding-dismiss", args=[version.project.slug, version.pk, "secrets"]), {"reason": REASON}
    )
    _, html = get(client, "version-detail", version)
    _, page = get(client, "finding-detail", version, "secrets")

    assert response.status_code == 302
    assert before.tone == "red" and selectors.verdict(dataset, version).tone != "red"
    assert "Decided" in html and REASON in html and engineer.email in html
    assert "Decided: it may stay" in page and "Undo" in page
    assert AuditEvent.objects.filter(action="finding.dismissed", reason=REASON, actor=engineer.email).exists()


def test_a_decision_holds_over_versions_until_the_finding_grows_by_more_than_a_fifth(project, engineer):
    dataset = make_dataset(project, engineer)
    first = make_version(dataset, with_secrets(60, 10))
    services.dismiss_finding(first, by=engineer, code="secrets", reason=REASON)

    same = make_version(dataset, with_secrets(60, 12, start=100))
    more = make_version(dataset, with_secrets(60, 13, start=200))

    assert selectors.finding(same, "secrets").decided is not None
    grown = selectors.finding(more, "secrets")
    assert grown.decided is None and grown.came_back.reason == REASON
    assert selectors.verdict(dataset, more).tone == "red"


def test_a_finding_that_came_back_can_be_decided_again(project, engineer):
    dataset = make_dataset(project, engineer)
    services.dismiss_finding(make_version(dataset, with_secrets(60, 4)), by=engineer, code="secrets", reason=REASON)
    more = make_version(dataset, with_secrets(60, 9, start=100))

    services.dismiss_finding(more, by=engineer, code="secrets", reason="All nine were withdrawn, too.")

    assert selectors.finding(more, "secrets").decided.count == 9
    assert Dismissal.objects.filter(dataset=dataset, withdrawn_at__isnull=True).count() == 1
    assert Dismissal.objects.filter(dataset=dataset).count() == 2


def test_a_decision_can_be_taken_back(version, engineer):
    services.dismiss_finding(version, by=engineer, code="secrets", reason=REASON)

    services.reopen_finding(version, by=engineer, code="secrets")

    assert selectors.finding(version, "secrets").decided is None
    assert Dismissal.objects.get().withdrawn_by == engineer
    assert AuditEvent.objects.filter(action="finding.reopened").exists()
    with pytest.raises(Refused, match="not dismissed"):
        services.reopen_finding(version, by=engineer, code="secrets")


@pytest.mark.parametrize("reason", ["", "ok", " " * 40, "x" * 1001])
def test_a_decision_needs_a_reason(version, engineer, reason):
    with pytest.raises(Invalid):
        services.dismiss_finding(version, by=engineer, code="secrets", reason=reason)


def test_nobody_decides_twice_or_about_what_is_not_there(version, engineer):
    services.dismiss_finding(version, by=engineer, code="secrets", reason=REASON)

    with pytest.raises(Refused, match="dismissed already"):
        services.dismiss_finding(version, by=engineer, code="secrets", reason=REASON)
    with pytest.raises(Refused, match="no finding"):
        services.dismiss_finding(version, by=engineer, code="bidi_controls", reason=REASON)


def test_a_viewer_sees_findings_but_decides_nothing(client, project, version):
    client.force_login(make_member(project, Role.VIEWER))
    args = [project.slug, version.pk, "secrets"]

    _, html = get(client, "finding-detail", version, "secrets")

    assert "Dismiss finding" not in html and reverse("finding-fix", args=args) not in html
    assert client.post(reverse("finding-dismiss", args=args), {"reason": REASON}).status_code == 403
    assert client.post(reverse("finding-reopen", args=args)).status_code == 403
    assert client.post(reverse("finding-fix", args=args)).status_code == 403
    assert not Dismissal.objects.exists()


def test_the_fix_of_a_finding_makes_a_version_without_it(client, version):
    client.post(reverse("finding-fix", args=[version.project.slug, version.pk, "secrets"]))
    run_jobs()

    made = selectors.latest_version(version.dataset)
    assert made.number == 2 and list(made.parents.all()) == [version]
    assert selectors.finding(made, "secrets") is None


def test_rows_beyond_the_first_thousand_are_paged(client, project, engineer):
    rows = [*answers(40), *[chat(f"Why is screw {n} loose?", "") for n in range(1200)]]
    version = make_version(make_dataset(project, engineer), rows)

    _, html = get(client, "finding-detail", version, "empty_answers", query="?page=120")

    assert "1\u202f191–1\u202f200 of 1\u202f200" in html or "1,191–1,200" in html
    assert version.findings.get(code="empty_answers").rows[-1] == 1039


def test_a_set_without_findings_says_so(client, project, engineer):
    rows = [
        chat(
            f"Question {n}: {'please ' * (n % 9)}tell me about part {n * 31}?",
            f"Part {n * 31} belongs to shelf {n * 17}.",
        )
        for n in range(120)
    ]
    version = make_version(make_dataset(project, engineer), rows)
    for found in selectors.findings(version):
        services.dismiss_finding(version, by=engineer, code=found.code, reason="It is meant to be like this.")

    _, html = get(client, "version-detail", version)

    assert "Nothing found" in html or "Nothing is left to look at" in html


def test_the_api_lists_findings_their_rows_and_takes_decisions(client, version, engineer):
    base = f"/api/v1/projects/{version.project.slug}/versions/{version.pk}/findings/"

    listed = client.get(base).json()["results"]
    rows = client.get(base + "secrets/rows/?page_size=3").json()
    made = client.post(base + "secrets/dismiss/", {"reason": REASON}, content_type="application/json")
    again = client.post(base + "secrets/dismiss/", {"reason": REASON}, content_type="application/json")
    undone = client.post(base + "secrets/reopen/")

    secrets = next(found for found in listed if found["code"] == "secrets")
    assert secrets["count"] == 10 and secrets["decided"] is None and secrets["fix"]["op"]
    assert rows["total"] == 10 and len(rows["results"]) == 3 and "cursor=3" in rows["next"]
    assert rows["results"][0]["places"][0]["shown"] == "AKIA…(20 characters)"
    assert made.status_code == 201 and made.json()["by"] == engineer.email
    assert again.status_code == 409 and again.json()["code"] == "already_dismissed"
    assert undone.json()["withdrawn_by"] == engineer.email
    assert client.get(base + "bidi_controls/rows/").status_code == 404
