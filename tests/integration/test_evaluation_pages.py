"""Pages of evaluations: who sees what, what they say, and that they stop asking."""

import pytest
from django.urls import reverse

from evaluation.models import Evaluation
from projects.domain.permissions import Role
from tests.factories.evaluation import (
    make_golden,
    make_ready_adapter,
    make_retention,
    queue_evaluation,
    run_evaluation,
)
from tests.factories.projects import make_member, make_project, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)


def address(name, evaluation):
    args = [evaluation.project.slug] + ([] if name in ("evaluation-list", "evaluation-create") else [evaluation.pk])
    return reverse(name, args=args)


def text(response):
    return response.content.decode()


def signed_in(client, project, role=Role.ENGINEER):
    client.force_login(make_member(project, role))
    return client


def test_the_page_answers_is_it_better_by_how_much_are_we_sure_what_got_worse(client):
    evaluation = run_evaluation(mode="worse")

    page = text(signed_in(client, evaluation.project, Role.VIEWER).get(evaluation.get_absolute_url()))

    assert "Worse than its base" in page
    assert "Exact match falls by 80.0 points" in page
    assert "95 % interval" in page
    assert "not measured" in page
    assert page.count("Regression</span>") == 20
    assert "Gain</span>" not in page  # they come on the next page
    assert 'class="diff-missing"' in page
    assert "Try again" not in page


def test_the_filters_and_the_search_narrow_the_rows(client):
    evaluation = run_evaluation()
    signed_in(client, evaluation.project)

    gains = text(client.get(evaluation.get_absolute_url(), {"outcome": "gain"}))
    one = text(client.get(evaluation.get_absolute_url(), {"outcome": "gain", "q": "ticket 13:"}))
    none = text(client.get(evaluation.get_absolute_url(), {"outcome": "both_wrong"}))
    nonsense = client.get(evaluation.get_absolute_url(), {"outcome": "%00", "page": "-3", "q": "x" * 300})

    assert gains.count("<article") == 20
    assert "1–20 of 36" in gains
    assert one.count("<article") == 1
    assert "Ticket 13:" in one
    assert "No row of this kind" in none
    assert nonsense.status_code == 200


def test_answers_are_text_and_never_markup(client):
    evaluation = run_evaluation(mode="odd")

    page = text(signed_in(client, evaluation.project).get(evaluation.get_absolute_url()))

    assert "<script>alert" not in page
    assert "&lt;" in page


def test_a_waiting_page_asks_again_and_a_finished_one_reloads_itself(client):
    waiting = queue_evaluation()
    signed_in(client, waiting.project)

    status = client.get(address("evaluation-status", waiting))
    page = text(client.get(waiting.get_absolute_url()))
    Evaluation.objects.filter(pk=waiting.pk).update(
        state="running", started_at=waiting.queued_at, progress={"phase": "answers", "done": 10, "total": 40}
    )
    running = text(client.get(address("evaluation-status", waiting)))
    Evaluation.objects.filter(pk=waiting.pk).update(state="failed", error_message="No memory.", error_code="oom")
    over = client.get(address("evaluation-status", waiting))

    assert 'hx-trigger="every 2s"' in text(status)
    assert 'hx-trigger="every 2s"' in page
    assert "HX-Refresh" not in status
    assert "10 of 40" in running
    assert "Cost so far" in running
    assert over["HX-Refresh"] == "true"
    assert "hx-trigger" not in text(over)
    assert "No memory." in text(over)
    assert "Try again" in text(over)


def test_the_list_shows_differences_with_intervals_and_quality_over_time(client):
    adapter = make_ready_adapter()
    by = make_member(adapter.project)
    golden = make_golden(adapter.project, by)
    run_evaluation(adapter, by=by, golden=golden, mode="worse")
    evaluation = run_evaluation(adapter, by=by, golden=golden)
    signed_in(client, adapter.project)

    page = text(client.get(address("evaluation-list", evaluation)))

    assert "Better than its base" in page
    assert "Worse than its base" in page
    assert "rose 80.0 points since the first evaluation" in page
    assert f"quality-{golden.dataset_id}" in page
    assert client.get(address("evaluation-list", evaluation), {"golden": "zero", "page": "9"}).status_code == 200


def test_the_list_costs_the_same_number_of_queries_for_one_and_for_many(client, django_assert_max_num_queries):
    adapter = make_ready_adapter()
    by = make_member(adapter.project)
    golden = make_golden(adapter.project, by)
    one = run_evaluation(adapter, by=by, golden=golden)
    for _ in range(12):
        copy = Evaluation.objects.get(pk=one.pk)
        copy.pk = None
        copy._state.adding = True
        copy.save()
    signed_in(client, adapter.project)

    with django_assert_max_num_queries(20):
        page = client.get(address("evaluation-list", one))

    assert text(page).count("Better than its base") == 13


def test_an_empty_list_says_what_to_do(client):
    project = make_project()
    signed_in(client, project)

    page = text(client.get(reverse("evaluation-list", args=[project.slug])))
    form = text(client.get(reverse("evaluation-create", args=[project.slug])))

    assert "Nothing evaluated yet" in page
    assert "Start an evaluation" in page
    assert "There is no adapter to evaluate" in form


def test_the_form_offers_the_newest_of_everything_and_starts(client):
    adapter = make_ready_adapter()
    by = make_member(adapter.project)
    golden, retention = make_golden(adapter.project, by), make_retention(adapter.project, by)
    signed_in(client, adapter.project)
    url = reverse("evaluation-create", args=[adapter.project.slug])

    page = text(client.get(url))
    answer = client.post(url, {"adapter": adapter.pk, "golden": golden.pk, "retention": retention.pk})

    evaluation = Evaluation.objects.get()
    assert f'<option value="{retention.pk}" selected>' in page
    assert "shows differences from 19.8 points" in page
    assert answer.status_code == 302
    assert answer.url == evaluation.get_absolute_url()
    assert (evaluation.state, evaluation.retention) == ("queued", retention)


def test_things_of_another_project_cannot_be_chosen(client):
    mine, theirs = make_ready_adapter(), make_ready_adapter()
    golden = make_golden(mine.project, make_member(mine.project))
    foreign = make_golden(theirs.project, make_member(theirs.project))
    signed_in(client, mine.project)
    url = reverse("evaluation-create", args=[mine.project.slug])

    for wrong in ({"adapter": theirs.pk}, {"golden": foreign.pk}, {"retention": golden.pk}, {"limit": 3}):
        answer = client.post(url, {"adapter": mine.pk, "golden": golden.pk} | wrong)
        assert answer.status_code == 400
        assert "is-invalid" in text(answer) or "invalid-feedback" in text(answer)
    assert not Evaluation.objects.exists()


def test_a_refusal_of_the_service_stands_at_its_field(client):
    adapter = make_ready_adapter()
    by = make_member(adapter.project)
    plain = make_golden(adapter.project, by, content=[{"text": "Only words."}] * 3)
    signed_in(client, adapter.project)

    answer = client.post(
        reverse("evaluation-create", args=[adapter.project.slug]), {"adapter": adapter.pk, "golden": plain.pk}
    )

    assert answer.status_code == 400
    assert "has no row with a question and an expected answer" in text(answer)


NAMES = ["evaluation-list", "evaluation-detail", "evaluation-status"]
WRITES = ["evaluation-cancel", "evaluation-retry"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_readers_see_everything_and_start_nothing(client, role):
    evaluation = queue_evaluation()
    signed_in(client, evaluation.project, role)

    assert [client.get(address(name, evaluation)).status_code for name in NAMES] == [200, 200, 200]
    assert client.get(address("evaluation-create", evaluation)).status_code == 403
    assert client.post(address("evaluation-create", evaluation)).status_code == 403
    assert [client.post(address(name, evaluation)).status_code for name in WRITES] == [403, 403]
    assert "Cancel evaluation" not in text(client.get(evaluation.get_absolute_url()))


def test_outsiders_and_neighbours_find_nothing(client):
    evaluation, other = queue_evaluation(), make_project()
    client.force_login(make_user())
    assert {client.get(address(name, evaluation)).status_code for name in NAMES} == {404}
    assert {client.post(address(name, evaluation)).status_code for name in WRITES} == {404}
    signed_in(client, other)
    for name in NAMES[1:]:
        assert client.get(reverse(name, args=[other.slug, evaluation.pk])).status_code == 404
    for name in WRITES:
        assert client.post(reverse(name, args=[other.slug, evaluation.pk])).status_code == 404


def test_cancel_and_retry_from_the_page(client):
    evaluation = queue_evaluation()
    signed_in(client, evaluation.project)

    assert client.post(address("evaluation-cancel", evaluation), {"reason": "wrong set"}).status_code == 302
    evaluation.refresh_from_db()
    assert evaluation.state == "cancelled"
    assert "Try again" in text(client.get(evaluation.get_absolute_url()))
    assert client.post(address("evaluation-cancel", evaluation)).status_code == 409
    assert client.post(address("evaluation-retry", evaluation)).status_code == 302
    evaluation.refresh_from_db()
    assert evaluation.state == "queued"


def test_leaked_golden_rows_cut_answers_and_long_prompts_are_not_hidden(client):
    from datasets_app.models import Overlap

    evaluation = run_evaluation()
    Overlap.objects.update_or_create(
        version=evaluation.adapter.dataset_version,
        golden_version=evaluation.golden,
        defaults={"exact": 1, "normalised": 1, "ngram": 1, "near": 1, "rows": [1, 2, 3, 4]},
    )
    Evaluation.objects.filter(pk=evaluation.pk).update(
        summary=evaluation.summary | {"cut": {"base": 9, "adapter": 2}, "too_long": 5}
    )

    page = text(signed_in(client, evaluation.project).get(evaluation.get_absolute_url()))

    assert "4 golden rows were in the training data" in page
    assert "2 answers of the adapter were cut" in page
    assert "5 golden prompts are longer" in page
