"""What a review leaves behind: a version with its fixes and without its rejects, or nothing to change."""

import pytest
from django.test import Client

from datasets_app import selectors
from datasets_app.models import DatasetVersion, ReviewRound
from datasets_app.services import review as queue
from datasets_app.services import review_rounds
from projects.domain.errors import Refused
from projects.models import AuditEvent, LedgerEntry
from tests.factories.datasets import chat, make_version, tickets
from tests.factories.projects import run_jobs
from tests.factories.reviews import decide, make_reviewers, make_round, take

pytestmark = pytest.mark.django_db(transaction=True)


def close(review):
    closed = review_rounds.close_round(ReviewRound.objects.get(pk=review.pk), by=review.created_by)
    run_jobs()
    return ReviewRound.objects.select_related("build__version").get(pk=closed.pk)


def rows(version):
    return selectors.read_rows_at(version, range(version.rows))


def test_closing_makes_a_version_with_the_fixes_and_without_the_rejected_rows():
    review = make_round(rows=6)
    (anna,) = make_reviewers(review, 1)
    decide(review, anna)
    decide(review, anna, "fix", answer='{"queue": "network", "priority": "high"}')
    decide(review, anna, "reject", reason="Wrong answer")

    closed = close(review)

    assert closed.build.version is not None, closed.build.error_message
    made = rows(closed.build.version)
    assert [row["messages"][0]["content"].split()[1] for row in made] == ["0:", "1:", "3:", "4:", "5:"]
    assert made[1]["messages"][-1]["content"] == '{"queue": "network", "priority": "high"}'
    assert made[1]["messages"][0] == rows(review.version)[1]["messages"][0]
    assert anna.email in str(made[1]["provenance"])
    assert "edited_by" not in str(made[0]["provenance"] or "")
    assert list(closed.build.version.parents.all()) == [review.version]
    assert review.version.rows == 6, "the version that was looked at stays as it is"
    assert LedgerEntry.objects.filter(subject_kind="datasets.reviewround").count() <= 1
    assert AuditEvent.objects.filter(action="reviewround.closed").exists()


def test_pairs_are_turned_round_or_mended():
    pair = {"prompt": "Which colour?", "chosen": "Red", "rejected": "Blue"}
    version = make_version(rows=[{**pair, "prompt": f"Colour {n}?"} for n in range(3)])
    review = make_round(version)
    (anna,) = make_reviewers(review, 1)
    decide(review, anna, "swap")
    decide(review, anna, "fix", answer="Dark red")

    made = rows(close(review).build.version)

    texts = [(row["chosen"][-1]["content"], row["rejected"][-1]["content"]) for row in made]
    assert texts == [("Blue", "Red"), ("Dark red", "Blue"), ("Red", "Blue")]


def test_plain_text_is_mended():
    version = make_version(rows=[{"text": f"Document {n} about nothing much."} for n in range(3)])
    review = make_round(version)
    (anna,) = make_reviewers(review, 1)
    decide(review, anna, "fix", answer="A better document.")

    assert rows(close(review).build.version)[0]["text"] == "A better document."


def test_where_nothing_changes_no_version_is_made():
    review = make_round(rows=2)
    (anna,) = make_reviewers(review, 1)
    decide(review, anna)

    closed = close(review)

    assert (closed.state, closed.build) == ("closed", None)
    assert review.version.dataset.versions.count() == 1


def test_rows_in_dispute_stay_as_they_are():
    review = make_round(rows=2, double_share=1.0)
    anna, bert = make_reviewers(review)
    decide(review, anna, "reject", reason="Wrong answer")
    decide(review, bert, "accept")

    assert close(review).build is None


def test_a_round_is_reopened_until_its_version_is_there():
    review = make_round(rows=3)
    (anna,) = make_reviewers(review, 1)
    decide(review, anna)
    closed = close(review)

    opened = review_rounds.reopen_round(closed, by=review.created_by)
    assert opened.state == "open"
    decide(opened, anna, "reject", reason="Bad format")
    closed = close(opened)

    assert closed.build.version.rows == 2
    with pytest.raises(Refused, match="Open a new review of the new version"):
        review_rounds.reopen_round(closed, by=review.created_by)


def test_when_every_row_is_rejected_the_version_fails_and_the_round_can_go_on():
    review = make_round(rows=2)
    (anna,) = make_reviewers(review, 1)
    for _ in range(2):
        decide(review, anna, "reject", reason="Wrong answer")

    closed = close(review)

    assert closed.build.state == "failed"
    assert closed.build.version is None
    assert review_rounds.reopen_round(closed, by=review.created_by).state == "open"


def test_closing_twice_makes_one_version():
    review = make_round(rows=3)
    (anna,) = make_reviewers(review, 1)
    decide(review, anna, "reject", reason="Bad format")
    close(review)

    with pytest.raises(Refused):
        close(review)
    assert DatasetVersion.every.filter(dataset=review.version.dataset).count() == 2


def test_in_a_project_that_wants_a_second_person_the_outcome_is_a_proposal():
    version = make_version(rows=tickets(4))
    project = version.project
    project.review_data_changes = True
    project.save()
    review = make_round(DatasetVersion.objects.select_related("dataset__project").get(pk=version.pk))
    (anna,) = make_reviewers(review, 1)
    decide(review, anna, "reject", reason="Bad format")

    made = close(review).build.version

    assert made.stage == "proposed"
    assert version.dataset.versions.count() == 1
    client = Client()
    client.force_login(anna)
    html = client.get(review.get_absolute_url()).content.decode()
    assert "The change waits for a second person" in html
    assert made.proposal.get_absolute_url() in html


def test_an_answer_that_is_only_a_tool_call_can_be_accepted_and_rejected():
    call = {"type": "function", "function": {"name": "look_up", "arguments": {"id": 1}}}
    turn = {"role": "assistant", "content": "", "tool_calls": [call]}
    version = make_version(rows=[{"messages": [{"role": "user", "content": f"Find {n}"}, turn]} for n in range(2)])
    review = make_round(version)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)
    queue.decide_item(item, by=anna, verdict="reject", reason="Wrong tool")

    assert close(review).build.version.rows == 1


def test_right_to_left_answers_come_through_unchanged():
    review = make_round(make_version(rows=[chat(f"متى {n}؟", "لاحقًا") for n in range(2)]))
    (anna,) = make_reviewers(review, 1)
    decide(review, anna, "fix", answer="غدًا")

    assert rows(close(review).build.version)[0]["messages"][-1]["content"] == "غدًا"
