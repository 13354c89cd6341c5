"""The review queue: rows given to one person at a time, decisions that count once, time that is booked once."""

from datetime import timedelta
from decimal import Decimal

import pytest

from datasets_app.models import ReviewDecision, ReviewItem, ReviewRound
from datasets_app.selectors import review as reads
from datasets_app.selectors import review_needs, review_progress
from datasets_app.services import review as queue
from datasets_app.services import review_rounds
from datasets_app.services.review_time import book_round
from projects import leases
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, LedgerEntry
from tests.factories.datasets import chat, make_version, tickets
from tests.factories.projects import make_member
from tests.factories.reviews import decide, make_reviewers, make_round, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock(monkeypatch):
    """The database's clock, moved by hand."""

    class Clock:
        now = leases.database_time()

        def pass_(self, seconds):
            self.now += timedelta(seconds=seconds)

    clock = Clock()
    monkeypatch.setattr(leases, "database_time", lambda: clock.now)
    return clock


def test_a_round_over_all_rows_gives_each_row_once():
    review = make_round(rows=6)
    (anna,) = make_reviewers(review, 1)

    first = take(review, anna, 4)
    second = take(review, anna, 4, having=[item.pk for item in first])

    assert [item.row for item in first + second] == [0, 1, 2, 3, 4, 5]
    assert take(review, anna, 4, having=[item.pk for item in first + second]) == []
    assert AuditEvent.objects.filter(action="reviewround.opened", detail__rows=6).exists()


def test_rows_are_chosen_by_sample_finding_label_tag_and_text():
    rows = [{**chat(f"Question {n}", f"Answer {n}"), "label": "odd" if n % 2 else "even"} for n in range(10)]
    rows[3]["tags"] = ["refund"]
    rows += [chat("mail me", "Write to anna.smith@example.com"), chat("Where is it?", "In the “drawer”")]
    version = make_version(rows=rows)
    codes = set(version.findings.values_list("code", flat=True))

    def chosen(**scope):
        return reads.planned_rows(make_round(version, scope=scope)).tolist()

    assert len(chosen(share=0.5)) == 6
    assert len(chosen(number=3)) == 3
    assert chosen(label="odd") == [1, 3, 5, 7, 9]
    assert len(chosen(label="odd", number=2)) == 2
    assert chosen(tag="refund") == [3]
    assert chosen(text="question 7") == [7]
    assert chosen(text="“drawer”") == [11]
    assert "personal_data" not in codes or chosen(finding="personal_data") == [10]
    for scope in ({"label": "none"}, {"text": "nowhere"}, {"finding": "no_such"}, {"everything": 1}):
        with pytest.raises(Invalid):
            make_round(version, scope=scope)


def test_a_search_keeps_what_it_found_and_refuses_what_is_endless(monkeypatch):
    version = make_version(rows=tickets(8))
    review = make_round(version, scope={"text": "Ticket"})

    assert review.scope["rows"] == list(range(8))
    monkeypatch.setattr("datasets_app.services.review_rounds.MOST_FOUND", 5)
    with pytest.raises(Invalid, match="More than 5 rows hold “Ticket”"):
        make_round(version, scope={"text": "Ticket"})


def test_items_are_laid_out_as_the_queue_reaches_them(monkeypatch):
    monkeypatch.setattr("datasets_app.domain.reviewing.STRETCH", 3)
    review = make_round(rows=8)
    (anna,) = make_reviewers(review, 1)

    assert (review.planned, review.items.count()) == (8, 3)
    assert reads.waiting_for(review, anna) == 8
    for _ in range(4):
        decide(review, anna)
    review.refresh_from_db()
    assert review.items.count() == 6
    assert reads.waiting_for(review, anna) == 4
    assert [item.row for item in take(review, anna, 8)] == [4, 5, 6, 7]


def test_two_people_never_hold_the_same_row(clock):
    review = make_round(rows=6)
    anna, bert = make_reviewers(review)

    mine, theirs = take(review, anna, 3), take(review, bert, 3)

    assert {item.pk for item in mine} & {item.pk for item in theirs} == set()
    assert take(review, make_reviewers(review, 1)[0], 3) == []
    clock.pass_(599)
    assert take(review, make_reviewers(review, 1)[0], 3) == []
    clock.pass_(2)
    assert [item.row for item in take(review, make_reviewers(review, 1)[0], 3)] == [0, 1, 2]


def test_a_sign_of_life_keeps_what_is_held_and_says_what_was_lost(clock):
    review = make_round(rows=4)
    anna, bert = make_reviewers(review)
    held = take(review, anna, 2)

    clock.pass_(500)
    assert queue.show_item(held[0], by=anna) == [item.pk for item in held]
    clock.pass_(500)
    assert [item.row for item in take(review, bert, 4)] == [2, 3]
    clock.pass_(200)
    assert [item.row for item in take(review, bert, 4, having=[])] == [0, 1, 2, 3]
    assert queue.show_item(held[0], by=anna) == []


def test_the_page_that_comes_back_gets_its_rows_again():
    review = make_round(rows=6)
    (anna,) = make_reviewers(review, 1)

    assert take(review, anna, 3) == take(review, anna, 3)


def test_a_decision_counts_once_and_the_last_word_of_a_person_stands():
    review = make_round(rows=3)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)

    for _ in range(3):
        queue.decide_item(item, by=anna, verdict="accept")
    queue.decide_item(item, by=anna, verdict="reject", reason="Wrong answer")

    item.refresh_from_db()
    assert (item.decided, item.held_by) == (1, None)
    assert item.decisions.get().verdict == "reject"
    said = AuditEvent.objects.filter(action="reviewitem.decided").order_by("pk")
    assert [event.detail["verdict"] for event in said] == ["accept", "reject"], "both are in the audit log, each once"
    assert review_progress.became(review)["reject"] == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"verdict": "maybe"}, "unknown_verdict"),
        ({"verdict": "reject"}, "reason_missing"),
        ({"verdict": "reject", "reason": "x" * 301}, "too_long"),
        ({"verdict": "fix", "answer": "  "}, "answer_missing"),
        ({"verdict": "fix", "answer": "a\x00b"}, "bad_answer"),
        ({"verdict": "fix", "answer": "x" * 200_001}, "bad_answer"),
        ({"verdict": "swap"}, "not_a_pair"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(said, code):
    review = make_round(rows=2)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)

    with pytest.raises(Invalid) as refused:
        queue.decide_item(item, by=anna, **said)

    assert refused.value.code == code
    assert not item.decisions.exists()


def test_a_late_decision_on_a_row_that_somebody_else_has_done_is_kept_as_a_second_look(clock):
    review = make_round(rows=2)
    anna, bert = make_reviewers(review)
    (item,) = take(review, anna)
    clock.pass_(700)
    decide(review, bert)

    queue.decide_item(item, by=anna, verdict="reject", reason="Wrong answer")

    item.refresh_from_db()
    assert item.decided == 2
    assert review_progress.disputes(review) == [item.pk]


def test_skipping_passes_a_row_on_and_brings_it_back_when_asked():
    review = make_round(rows=2)
    anna, bert = make_reviewers(review)

    skipped = decide(review, anna, "skip")
    decide(review, anna)

    assert take(review, anna) == []
    assert reads.skipped_by(review, anna) == 1
    assert take(review, anna, skipped=True) == [skipped.item]
    queue.decide_item(skipped.item, by=anna, verdict="skip", comment="I do not know this product")
    assert take(review, bert) == [skipped.item]
    assert review_progress.became(review)["untouched"] == 1


def test_taking_a_decision_back_opens_the_row_again(clock):
    review = make_round(rows=2)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)
    queue.show_item(item, by=anna)
    clock.pass_(20)
    queue.decide_item(item, by=anna, verdict="accept")

    assert queue.undo_decision(item, by=anna) is True
    assert queue.undo_decision(item, by=anna) is False

    clock.pass_(5)
    assert take(review, anna)[0] == item
    queue.show_item(item, by=anna)
    clock.pass_(10)
    queue.decide_item(item, by=anna, verdict="fix", answer="Better")
    decision = item.decisions.get()
    assert decision.verdict == "fix"
    assert decision.seconds == pytest.approx(30)
    assert AuditEvent.objects.filter(action="reviewitem.taken_back").count() == 1


def test_rows_dealt_out_evenly_are_each_persons_own():
    review = make_round(rows=7)
    anna, bert = make_reviewers(review)
    review = make_round(review.version, people=[anna, bert])

    assert (reads.waiting_for(review, anna), reads.waiting_for(review, bert)) == (4, 3)
    assert [item.row for item in take(review, anna, 9)] == [0, 2, 4, 6]
    assert [item.row for item in take(review, bert, 9)] == [1, 3, 5]
    assert take(review, make_reviewers(review, 1)[0], 9) == []


def test_a_skipped_row_of_somebody_else_comes_after_ones_own():
    review = make_round(rows=4)
    anna, bert = make_reviewers(review)
    review = make_round(review.version, people=[anna, bert])
    skipped = decide(review, anna, "skip")

    assert [item.row for item in take(review, bert, 2)] == [1, 3]
    decide(review, bert)
    decide(review, bert)
    assert take(review, bert) == [skipped.item]


def test_rows_that_wait_can_be_dealt_out_anew():
    review = make_round(rows=6)
    anna, bert, cleo = make_reviewers(review, 3)
    review = make_round(review.version, people=[anna, bert])
    decide(review, anna)
    (held,) = take(review, anna)

    review_rounds.assign_round(review, by=review.created_by, people=[bert, cleo])

    review.refresh_from_db()
    assert review.people == [bert.pk, cleo.pk]
    waiting = review.items.filter(decided=0).exclude(pk=held.pk)
    assert set(waiting.values_list("assigned_to", flat=True)) == {bert.pk, cleo.pk}
    assert ReviewItem.objects.get(pk=held.pk).assigned_to == anna
    review_rounds.assign_round(review, by=review.created_by)
    assert set(review.items.filter(decided=0).exclude(pk=held.pk).values_list("assigned_to", flat=True)) == {None}


def test_rows_are_only_dealt_to_people_who_may_decide():
    review = make_round(rows=2)
    stranger = make_member()
    viewer = make_member(review.project, Role.VIEWER)

    for person in (stranger, viewer):
        with pytest.raises(Invalid, match="members who may review data"):
            make_round(review.version, people=[person])


def test_the_second_look_goes_to_somebody_else_and_knows_nothing_of_the_first():
    review = make_round(rows=4, double_share=1.0)
    anna, bert = make_reviewers(review)

    first = decide(review, anna, "reject", reason="Wrong answer")
    assert first.item.row == 0
    assert take(review, anna)[0].row == 1
    again = take(review, bert)[0]

    assert again == first.item
    queue.decide_item(again, by=bert, verdict="accept")
    again.refresh_from_db()
    assert again.decided == 2
    found, pairs = review_progress.agreements(review)
    assert (found.pairs, found.same) == (1, 0)
    assert pairs[0].found.pairs == 1


def test_a_dealt_out_row_for_two_goes_on_to_the_next_person():
    review = make_round(rows=2)
    anna, bert = make_reviewers(review)
    review = make_round(review.version, people=[anna, bert], double_share=1.0)

    item = decide(review, anna).item

    item.refresh_from_db()
    assert item.assigned_to == bert
    assert [one.row for one in take(review, bert, 4)] == [0, 1]


def test_a_ruling_settles_a_dispute():
    review = make_round(rows=2, double_share=1.0)
    anna, bert = make_reviewers(review)
    item = decide(review, anna, "fix", answer="A").item
    with pytest.raises(Refused, match="Fewer than two"):
        review_rounds.rule_on(item, by=review.created_by, verdict="accept")
    decide(review, bert, "fix", answer="B")

    assert review_progress.disputes(review) == [item.pk]
    assert review_progress.became(review)["disputed"] == 1
    review_rounds.rule_on(item, by=review.created_by, verdict="fix", answer="B")

    assert review_progress.disputes(review) == []
    assert next(review_progress.changes(review))[1].answer == "B"
    assert review_progress.agreements(review)[0].pairs == 1, "a ruling changes nothing about how far people agreed"


def test_time_is_measured_from_shown_to_decided(clock):
    review = make_round(rows=4)
    (anna,) = make_reviewers(review, 1)
    one, two, three = take(review, anna, 3)

    queue.show_item(one, by=anna)
    clock.pass_(25)
    queue.show_item(one, by=anna)
    clock.pass_(10)
    first = queue.decide_item(one, by=anna, verdict="accept", showing=two.pk)
    clock.pass_(900)
    second = queue.decide_item(two, by=anna, verdict="accept", showing=three.pk, claimed=900)
    clock.pass_(4)
    third = queue.decide_item(three, by=anna, verdict="accept")

    assert [first.seconds, second.seconds, third.seconds] == [35, 120, 4]


def test_looking_at_another_row_in_between_stops_the_clock_of_the_first(clock):
    review = make_round(rows=4)
    (anna,) = make_reviewers(review, 1)
    one, two = take(review, anna, 2)

    queue.show_item(one, by=anna)
    clock.pass_(10)
    queue.show_item(two, by=anna)
    clock.pass_(30)
    queue.show_item(one, by=anna)
    clock.pass_(5)

    assert queue.decide_item(one, by=anna, verdict="accept").seconds == 15


def test_time_is_booked_once_at_the_projects_price(clock):
    review = make_round(rows=4)
    review.project.people_hour_price = Decimal("72")
    review.project.save()
    anna, bert = make_reviewers(review)
    for person, seconds in ((anna, 100), (bert, 50), (anna, 20)):
        (item,) = take(review, person)
        queue.show_item(item, by=person)
        clock.pass_(seconds)
        queue.decide_item(item, by=person, verdict="accept")

    assert review_progress.cost(review) == pytest.approx(Decimal("3.4"), abs=Decimal("0.001"))
    for _ in range(2):
        book_round(review)

    lines = LedgerEntry.objects.filter(subject_kind="datasets.reviewround").order_by("-quantity")
    assert [round(float(line.quantity) * 3600) for line in lines] == [120, 50]
    assert {(line.cause, line.unit, line.unit_price) for line in lines} == {("data", "h", Decimal("72"))}
    assert sum(line.amount for line in lines) == pytest.approx(Decimal("3.4"), abs=Decimal("0.001"))
    assert review_progress.cost(review) == pytest.approx(Decimal("3.4"), abs=Decimal("0.001"))


def test_a_full_hour_is_booked_while_the_round_goes_on(clock):
    review = make_round(rows=40)
    (anna,) = make_reviewers(review, 1)
    for _ in range(31):
        (item,) = take(review, anna)
        queue.show_item(item, by=anna)
        clock.pass_(120)
        queue.decide_item(item, by=anna, verdict="accept")

    line = LedgerEntry.objects.get(subject_kind="datasets.reviewround")
    assert line.quantity == 1
    assert ReviewDecision.objects.filter(booked=False).count() == 1


def test_deciding_again_after_booking_books_only_the_new_time(clock):
    review = make_round(rows=2)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)
    queue.show_item(item, by=anna)
    clock.pass_(60)
    queue.decide_item(item, by=anna, verdict="accept")
    book_round(review)
    clock.pass_(30)
    queue.decide_item(item, by=anna, verdict="reject", reason="Wrong answer", claimed=12)
    book_round(review)

    booked = LedgerEntry.objects.filter(subject_kind="datasets.reviewround").values_list("quantity", flat=True)
    assert sorted(round(float(quantity) * 3600) for quantity in booked) == [12, 60]


def test_who_waits_for_whom_is_told_on_the_overview():
    review = make_round(rows=2, double_share=1.0)
    anna, bert = make_reviewers(review)
    viewer = make_member(review.project, Role.VIEWER)

    def texts(user):
        return [need.text for need in review_needs.needs(review.project, user)]

    assert texts(anna) == ["2 rows wait for you in “First look”"]
    assert texts(viewer) == []
    for person, verdict in ((anna, "accept"), (anna, "accept"), (bert, "accept"), (bert, "skip")):
        decide(review, person, verdict)
    assert texts(anna) == []
    queue.decide_item(take(review, bert, skipped=True)[0], by=bert, verdict="reject", reason="Bad format")
    assert texts(anna) == []
    assert texts(review.created_by) == ["People disagree about 1 row of “First look”"]
    review_rounds.rule_on(review.items.get(position=1), by=review.created_by, verdict="accept")
    assert texts(review.created_by) == ["“First look” is looked through: close it to make the next version"]


def test_nothing_is_decided_in_a_round_that_is_thrown_away():
    review = make_round(rows=2)
    (anna,) = make_reviewers(review, 1)
    (item,) = take(review, anna)

    review_rounds.discard_round(review, by=review.created_by, reason="Wrong version")

    for act in (
        lambda: take(ReviewRound.objects.get(pk=review.pk), anna),
        lambda: queue.decide_item(item, by=anna, verdict="accept"),
        lambda: queue.undo_decision(item, by=anna),
        lambda: review_rounds.close_round(review, by=review.created_by),
        lambda: review_rounds.assign_round(review, by=review.created_by),
    ):
        with pytest.raises(Refused):
            act()
    assert not reads.rounds(review.project).exists()
