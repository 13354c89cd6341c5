"""Many people in one queue at the same moment, each in their own connection, on whichever database the tests run."""

from threading import Barrier, Thread

import pytest
from django.db import OperationalError, connection

from datasets_app.models import ReviewDecision, ReviewItem, ReviewRound
from datasets_app.services import review as queue
from datasets_app.services import review_rounds
from datasets_app.services.review_time import book_round
from projects.domain.errors import Refused
from projects.models import AuditEvent, LedgerEntry
from tests.factories.reviews import make_reviewers, make_round, take

pytestmark = pytest.mark.django_db(transaction=True)


def together(*acts):
    """Run all at the same moment; what each returned, or the code of its refusal."""
    barrier, ends = Barrier(len(acts)), [None] * len(acts)

    def one(index, act):
        barrier.wait()
        try:
            ends[index] = act()
        except Refused as refused:
            ends[index] = refused.code
        except OperationalError as error:
            ends[index] = str(error)
        finally:
            connection.close()

    threads = [Thread(target=one, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def fresh(review):
    return ReviewRound.objects.select_related("project", "version__dataset__project").get(pk=review.pk)


def test_six_people_who_ask_at_once_get_different_rows():
    review = make_round(rows=24)
    people = make_reviewers(review, 6)

    given = together(*(lambda person=person: [i.pk for i in take(fresh(review), person, 4)] for person in people))

    rows = [pk for some in given for pk in some]
    assert len(rows) == len(set(rows)) == 24
    for person, some in zip(people, given, strict=True):
        assert set(ReviewItem.objects.filter(held_by=person).values_list("pk", flat=True)) == set(some)


def test_two_who_reach_the_end_of_a_stretch_lay_out_the_next_one_once(monkeypatch):
    monkeypatch.setattr("datasets_app.domain.reviewing.STRETCH", 4)
    review = make_round(rows=16)
    people = make_reviewers(review, 4)

    given = together(*(lambda person=person: [i.row for i in take(fresh(review), person, 4)] for person in people))

    assert sorted(row for some in given for row in some) == list(range(16))
    assert review.items.count() == 16


def test_the_same_decision_sent_many_times_at_once_counts_once():
    review = make_round(rows=2)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)

    ends = together(*[lambda: queue.decide_item(item, by=anna, verdict="accept").pk] * 6)

    assert set(ends) == {ReviewDecision.objects.get().pk}
    item.refresh_from_db()
    assert item.decided == 1
    assert AuditEvent.objects.filter(action="reviewitem.decided").count() == 1


def test_two_people_who_decide_one_row_at_once_are_both_heard():
    review = make_round(rows=2)
    anna, bert = make_reviewers(review)
    (item,) = take(review, anna)

    together(
        lambda: queue.decide_item(item, by=anna, verdict="accept").pk,
        lambda: queue.decide_item(item, by=bert, verdict="reject", reason="Wrong answer").pk,
    )

    item.refresh_from_db()
    assert (item.decided, item.decisions.count()) == (2, 2)


def test_a_decision_against_the_closing_is_in_the_outcome_or_refused():
    review = make_round(rows=3)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)

    said, closed = together(
        lambda: queue.decide_item(item, by=anna, verdict="reject", reason="Wrong answer").pk,
        lambda: review_rounds.close_round(fresh(review), by=review.created_by).pk,
    )

    assert closed == review.pk
    build = fresh(review).build
    if said == "round_closed":
        assert build is None
    else:
        assert build.steps[0]["indices"] == [item.row]


def test_time_booked_by_several_at_once_is_in_the_ledger_once():
    review = make_round(rows=3)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)
    queue.decide_item(item, by=anna, verdict="accept")
    ReviewDecision.objects.update(seconds=60)

    together(*[lambda: book_round(fresh(review))] * 4)

    assert LedgerEntry.objects.filter(subject_kind="datasets.reviewround").count() == 1
