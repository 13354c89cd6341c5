"""Evaluations end to end through the real supervisor, with a stand-in for the engine."""

import pytest
from django.core.exceptions import PermissionDenied

from evaluation import lineage, pages, selectors, services
from evaluation.domain.verdicts import Judgement
from evaluation.models import EvaluationItem
from projects.domain.errors import Invalid, Refused
from projects.domain.machine import IllegalMove
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import AuditEvent, LedgerEntry
from tests.factories.datasets import chat
from tests.factories.evaluation import (
    GENERAL,
    make_golden,
    make_ready_adapter,
    make_retention,
    queue_evaluation,
    run_evaluation,
    use_engine,
)
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _engines(settings):
    """Whatever engine a test chooses is gone after it."""
    settings.ENGINES = dict(settings.ENGINES)


def test_an_evaluation_ends_with_answers_scores_a_verdict_and_a_bill():
    evaluation = run_evaluation()

    assert evaluation.state == JobState.SUCCEEDED, evaluation.error_message
    assert evaluation.items.count() == evaluation.summary["n"] == 40
    verdict = selectors.verdict(evaluation)
    assert verdict.judgement is Judgement.BETTER
    assert "from 10.0 % to 90.0 % on 40 golden rows" in verdict.sentence
    line = LedgerEntry.objects.get(subject_kind="evaluation.evaluation", subject_id=evaluation.pk)
    assert (line.cause, line.outcome) == ("evaluation", "succeeded")
    assert selectors.costs(evaluation.project, [evaluation.pk])[evaluation.pk] == line.amount
    actions = AuditEvent.objects.filter(target=f"evaluation.evaluation:{evaluation.pk}").values_list(
        "action", flat=True
    )
    assert set(actions) >= {"evaluation.created", "evaluation.queued", "evaluation.running", "evaluation.succeeded"}


def test_settings_fit_the_golden_set_unless_somebody_chose_them():
    adapter = make_ready_adapter()
    by = make_member(adapter.project)
    routing = make_golden(adapter.project, by)
    prose = make_golden(adapter.project, by, content=[
        chat(f"Why {n}?", f"Because tray {n} was loaded the wrong way round, so please take it out.") for n in range(20)
    ])  # fmt: skip

    fitted = queue_evaluation(adapter, by, golden=routing)
    worded = queue_evaluation(adapter, by, golden=prose)
    chosen = queue_evaluation(adapter, by, golden=routing, graders=["rouge_l"], max_new_tokens=7, limit=10, seed=3)

    assert fitted.graders == ["exact_match", "json_valid", "json_fields", "rouge_l"]
    assert fitted.settings["primary"] == "exact_match"
    assert 40 <= fitted.settings["max_new_tokens"] <= 64
    assert worded.graders == ["exact_match", "rouge_l"]
    assert worded.settings["primary"] == "rouge_l"
    assert (chosen.graders, chosen.settings["primary"], chosen.settings["max_new_tokens"]) == (
        ["rouge_l"],
        "rouge_l",
        7,
    )
    assert (chosen.settings["limit"], chosen.settings["seed"]) == (10, 3)


def test_a_sample_is_drawn_by_its_seed():
    adapter = make_ready_adapter()
    golden = make_golden(adapter.project, make_member(adapter.project))

    first, again, other = (
        [row["index"] for row in selectors.questions(golden, limit=10, seed=seed)] for seed in (1, 1, 2)
    )

    assert first == again != other
    assert len(first) == 10
    assert first == sorted(first)
    evaluation = run_evaluation(adapter, golden=golden, limit=10, seed=1)
    assert [item.index for item in evaluation.items.order_by("index")] == first


def test_what_got_worse_comes_first_and_can_be_searched():
    evaluation = run_evaluation(mode="worse")

    assert selectors.verdict(evaluation).judgement is Judgement.WORSE
    assert selectors.outcome_counts(evaluation) == {
        "regression": 36, "gain": 4, "unchanged": 0, "": 40,
    }  # fmt: skip
    outcomes = list(selectors.items(evaluation).values_list("outcome", flat=True))
    assert outcomes == ["regression"] * 36 + ["gain"] * 4
    found = selectors.items(evaluation, query="ticket 13:")
    assert [item.index for item in found] == [13]
    assert not selectors.items(evaluation, outcome="unchanged").exists()


def test_no_difference_is_no_verdict():
    evaluation = run_evaluation(mode="same")

    verdict = selectors.verdict(evaluation)
    assert verdict.judgement is Judgement.CANNOT_SAY
    assert "40 rows reliably show differences from 19.8 points" in verdict.sentence
    assert {item.outcome for item in evaluation.items.all()} == {"both_right", "both_wrong"}


def test_forgetting_is_measured_on_the_retention_set():
    adapter = make_ready_adapter()
    by = make_member(adapter.project)

    evaluation = run_evaluation(adapter, by=by, retention=make_retention(adapter.project, by))

    assert evaluation.summary["retention"]["change_percent"] == pytest.approx(2.5)
    assert evaluation.summary["retention"]["rows"] == len(GENERAL)
    assert selectors.evidence(evaluation)["retention_change_percent"] == pytest.approx(2.5)


def test_a_failed_evaluation_says_why_and_can_be_tried_again():
    evaluation = run_evaluation(mode="fail")

    assert (evaluation.state, evaluation.error_code) == ("failed", "adapter_no_effect")
    assert selectors.verdict(evaluation) is None
    assert not evaluation.items.exists()
    by = make_member(evaluation.project)
    assert [need.tone for need in selectors.needs(evaluation.project, by)] == ["failed"]
    use_engine("better")
    services.retry_evaluation(evaluation, by=by)
    run_jobs()
    evaluation.refresh_from_db()
    assert (evaluation.state, evaluation.attempt) == ("succeeded", 2)
    assert selectors.needs(evaluation.project, by) == []
    outcomes = LedgerEntry.objects.filter(subject_kind="evaluation.evaluation").values_list("outcome", flat=True)
    assert sorted(outcomes) == ["failed", "succeeded"]


@pytest.mark.parametrize(("mode", "code"), [("crash", "crashed"), ("short", "answers_incomplete")])
def test_an_engine_that_breaks_off_or_lies_leaves_no_result(mode, code):
    evaluation = run_evaluation(mode=mode)

    assert (evaluation.state, evaluation.error_code) == ("failed", code)
    assert evaluation.summary == {}
    assert not evaluation.items.exists()


def test_answers_that_no_database_takes_are_stored_readably():
    evaluation = run_evaluation(mode="odd")

    assert evaluation.state == "succeeded", evaluation.error_message
    assert evaluation.items.first().base_output.startswith("half a character ? and a NUL \ufffd")


def test_a_waiting_evaluation_is_cancelled_at_once_and_costs_nothing():
    evaluation = queue_evaluation()
    by = make_member(evaluation.project)

    services.cancel_evaluation(evaluation, by=by, reason="wrong golden set")

    assert evaluation.state == "cancelled"
    assert run_jobs() == 0
    assert not LedgerEntry.objects.filter(subject_kind="evaluation.evaluation").exists()


def test_what_succeeded_is_a_record_and_is_not_tried_again():
    evaluation = run_evaluation()

    with pytest.raises(IllegalMove):
        services.retry_evaluation(evaluation, by=make_member(evaluation.project))


def test_a_damaged_adapter_is_found_before_the_engine_starts():
    from projects import artefacts

    adapter = make_ready_adapter()
    path = artefacts.fetch_directory(adapter.key) / "adapter_model.safetensors"
    path.write_bytes(b"flipped" + path.read_bytes()[7:])

    evaluation = run_evaluation(adapter)

    assert (evaluation.state, evaluation.error_code) == ("failed", "artefact_damaged")
    assert "adapter_model.safetensors" in evaluation.error_message


class TestRefusals:
    def test_only_a_golden_set_may_judge(self):
        adapter = make_ready_adapter()
        by = make_member(adapter.project)
        retention = make_retention(adapter.project, by)

        with pytest.raises(Invalid, match="Choose a golden set") as refused:
            services.start_evaluation(adapter, by=by, golden=retention)
        assert (refused.value.code, refused.value.field) == ("wrong_purpose", "golden")

    def test_only_a_retention_set_may_measure_forgetting(self):
        adapter = make_ready_adapter()
        by = make_member(adapter.project)
        golden = make_golden(adapter.project, by)

        with pytest.raises(Invalid) as refused:
            services.start_evaluation(adapter, by=by, golden=golden, retention=golden)
        assert refused.value.field == "retention"

    def test_another_projects_golden_set_does_not_exist(self):
        adapter, stranger = make_ready_adapter(), make_project()
        golden = make_golden(stranger, make_member(stranger))

        with pytest.raises(Invalid) as refused:
            services.start_evaluation(adapter, by=make_member(adapter.project), golden=golden)
        assert refused.value.code == "not_found"

    def test_the_base_must_be_ready(self):
        adapter = make_ready_adapter()
        golden = make_golden(adapter.project, make_member(adapter.project))
        adapter.base.state = JobState.FAILED
        adapter.base.save()

        with pytest.raises(Refused) as refused:
            services.start_evaluation(adapter, by=make_member(adapter.project), golden=golden)
        assert refused.value.code == "base_not_ready"

    def test_plain_text_asks_no_questions(self):
        adapter = make_ready_adapter()
        by = make_member(adapter.project)
        golden = make_golden(adapter.project, by, content=GENERAL)

        with pytest.raises(Invalid) as refused:
            services.start_evaluation(adapter, by=by, golden=golden)
        assert refused.value.code == "golden_empty"

    def test_an_unknown_grader_is_named(self):
        adapter = make_ready_adapter()
        by = make_member(adapter.project)
        golden = make_golden(adapter.project, by)

        with pytest.raises(Invalid, match="vibes"):
            services.start_evaluation(adapter, by=by, golden=golden, graders=["vibes"])

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
    def test_only_engineers_and_owners_start_cancel_and_retry(self, role):
        evaluation = queue_evaluation()
        by = make_member(evaluation.project, role)

        for service in (services.cancel_evaluation, services.retry_evaluation):
            with pytest.raises(PermissionDenied):
                service(evaluation, by=by)
        with pytest.raises(PermissionDenied):
            services.start_evaluation(evaluation.adapter, by=by, golden=evaluation.golden)


def test_an_adapter_without_evaluation_waits_for_one():
    adapter = make_ready_adapter()

    (need,) = selectors.needs(adapter.project, make_member(adapter.project))

    assert "has not been evaluated" in need.text
    assert need.url.endswith(f"?adapter={adapter.pk}")
    assert selectors.needs(adapter.project, make_member(adapter.project, Role.VIEWER)) == []


def test_the_lineage_leads_from_adapter_and_golden_set_to_the_evaluation():
    evaluation = run_evaluation()

    source, here = lineage.Evaluations(), f"evaluation:{evaluation.pk}"

    assert [(node.id, node.state) for node in source.briefs(evaluation.project)] == [(here, "succeeded")]
    assert {(edge.source, edge.target) for edge in source.links(evaluation.project)} == {
        (f"adapter:{evaluation.adapter_id}", here),
        (f"version:{evaluation.golden_id}", here),
    }


def test_quality_over_time_is_told_by_figure_title_and_table():
    adapter = make_ready_adapter()
    by = make_member(adapter.project)
    golden = make_golden(adapter.project, by)
    run_evaluation(adapter, by=by, golden=golden, mode="worse")
    run_evaluation(adapter, by=by, golden=golden)

    (figure,) = pages.overview_figures(adapter.project)

    assert figure.title.startswith("Exact match rose 80.0 points since the first evaluation")
    assert len(figure.table["rows"]) == 2
    base, shown = figure.figure["data"]
    assert list(shown["y"]) == [10.0, 90.0]
    assert list(base["y"]) == [90.0, 10.0]
    assert pages.overview_figures(make_project()) == []


def test_evidence_names_the_result_and_every_hash():
    evaluation = run_evaluation()

    found = selectors.evidence(evaluation)

    assert found["adapter_digest"] == evaluation.adapter.digest
    assert found["base_fingerprint"] == evaluation.base.fingerprint
    assert found["golden"]["content_hash"] == evaluation.golden.content_hash
    assert found["graders"]["exact_match"]["low"] > 0
    assert len(found["items_sha256"]) == 64
    assert EvaluationItem.objects.filter(evaluation=evaluation).count() == found["n"]
