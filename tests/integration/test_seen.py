"""What the model will see: the page, its row by row view, its remedies and the same through the API."""

import pytest
from django.urls import reverse

from datasets_app import services as deleting
from datasets_app.models import Build
from projects import artefacts
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services
from training.models import SeenRow, TokenProfile

pytestmark = pytest.mark.django_db

BOMBS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a gigabyte": "{{ messages[0].content * 1000000000 }}",
    "recursion": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
}


@pytest.fixture
def counted(client):
    """A version of tickets with one long row, counted under a base; signed in as an engineer."""
    project = make_project()
    by = make_member(project)
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by, rows=rows)
    services.measure_tokens(version, by=by, base=base)
    run_jobs()
    client.force_login(by)
    return project, by, base, version


def address(name: str, version, **asked) -> str:
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    return reverse(name, args=[version.project.slug, version.pk]) + f"?{query}"


def test_a_page_without_bases_says_what_to_do(client):
    project = make_project()
    by = make_member(project)
    version = datasets.make_version(project=project, by=by)
    client.force_login(by)
    page = client.get(address("version-seen", version)).content.decode()
    assert "No base model yet" in page and "Register a base model" in page


def test_data_is_counted_once_and_any_limit_is_read_off_it(client):
    project = make_project()
    by = make_member(project)
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by, rows=rows)
    client.force_login(by)
    assert "Not counted yet" in client.get(address("version-seen", version)).content.decode()

    asked = client.post(address("version-seen", version), {"base": base.pk, "max_length": 64})
    assert asked.url == f"{address('version-seen', version)}base={base.pk}&max_length=64"
    counting = client.get(asked.url).content.decode()
    assert 'hx-trigger="every 1200ms"' in counting and "part=state" in counting
    run_jobs()

    page = client.get(asked.url).content.decode()
    assert "Answers lose their end: 1 of 21 rows" in page and "row 20" in page
    assert "Raise the limit to 106" in page and "more tokens per epoch" in page
    wide = client.get(address("version-seen", version, base=base.pk, max_length=1024)).content.decode()
    assert "Answers lose their end" not in wide and "Every row fits" in wide
    assert TokenProfile.objects.count() == 1


def test_with_the_data_go_its_counts_and_its_rendered_rows(counted, django_capture_on_commit_callbacks):
    _, by, _, version = counted
    folder = artefacts.fetch_directory(TokenProfile.objects.get().key)
    with django_capture_on_commit_callbacks(execute=True):
        deleting.delete_dataset(version.dataset, by=by)
    assert not folder.exists() and not TokenProfile.objects.exists()


def test_while_it_is_counted_a_sample_stands_for_the_rest(counted, client):
    _, _, base, version = counted
    profile = TokenProfile.objects.get()
    stats = profile.stats | {"sample": True, "of_rows": 21}
    TokenProfile.objects.update(state=JobState.RUNNING, stats=stats)
    page = client.get(address("version-seen", version, base=base.pk)).content.decode()
    assert "A first look, from 21" in page and "of 21 rows" in page


def test_telling_rows_are_there_at_once(counted, client):
    _, _, base, version = counted
    profile = TokenProfile.objects.get()
    telling = dict(selectors.telling_rows(profile))
    assert telling["longest"] == 20 and {"shortest", "random"} <= set(telling)
    row = client.get(address("version-seen-row", version, base=base.pk, max_length=64, row=20)).content.decode()
    assert "cut here: 64 tokens" in row and "The whole answer is cut away" in row
    assert "Cut away, would be trained" in row and not SeenRow.objects.exists()
    whole = client.get(address("version-seen-row", version, base=base.pk, max_length=1024, row=20)).content.decode()
    assert "All of it fits" in whole and "cut here" not in whole


def test_any_row_is_rendered_by_a_worker_and_kept(counted, client):
    _, _, base, version = counted
    index = _untold()
    here = address("version-seen-row", version, base=base.pk, max_length=64, row=index)
    assert 'hx-trigger="load"' in client.get(here).content.decode()
    waiting = client.post(here, {"base": base.pk, "max_length": 64, "row": index}).content.decode()
    assert "A worker is rendering this row" in waiting
    run_jobs()
    shown = client.get(here).content.decode()
    assert 'class="tok' in shown and "stretch-trained" in shown and "Context: " in shown
    client.post(here, {"base": base.pk, "max_length": 64, "row": index})
    assert SeenRow.objects.count() == 1


def test_a_row_that_is_not_there_and_numbers_that_are_none(counted, client):
    _, by, base, version = counted
    assert client.get(address("version-seen-row", version, base=base.pk, row=21)).status_code == 404
    assert client.get(address("version-seen-row", version, base=base.pk, row="x")).status_code == 404
    assert client.get(address("version-seen", version, base="9" * 30)).status_code == 404
    assert client.get(address("version-seen", version, base=base.pk, max_length="1e9")).status_code == 400
    random = client.get(address("version-seen", version, base=base.pk, max_length=64, row="any"))
    assert random.status_code == 302 and "row=" in random.url
    with pytest.raises(Invalid) as refused:
        services.show_row(version, by=by, base=base, index=21)
    assert refused.value.code == "no_such_row"


def test_rows_that_the_limit_spoils_are_dropped_into_a_new_version(counted, client):
    _, by, base, version = counted
    posted = {"base": base.pk, "max_length": 64, "what": "answers_cut"}
    answer = client.post(address("version-seen-drop", version), posted)
    assert answer.status_code == 302
    run_jobs()
    build = Build.objects.get()
    assert build.state == JobState.SUCCEEDED and build.version.rows == 20
    with pytest.raises(Refused) as refused:
        services.drop_lost(version, by=by, base=base, max_length=1024, what="cut")
    assert refused.value.code == "nothing_to_drop"
    with pytest.raises(Invalid):
        services.drop_lost(version, by=by, base=base, max_length=64, what="everything")


def test_a_viewer_looks_but_does_not_count_or_drop(counted, client):
    project, _, base, version = counted
    client.force_login(make_member(project, Role.VIEWER))
    page = client.get(address("version-seen", version, base=base.pk, max_length=64)).content.decode()
    assert "Answers lose their end" in page and "Make a version without" not in page
    assert client.post(address("version-seen", version), {"base": base.pk}).status_code == 403
    assert client.post(address("version-seen-drop", version), {"base": base.pk}).status_code == 403
    shown = client.post(address("version-seen-row", version), {"base": base.pk, "max_length": 64, "row": 3})
    assert shown.status_code == 200


def test_an_outsider_finds_nothing(counted, client):
    _, _, base, version = counted
    client.force_login(make_member(make_project()))
    for name in ("version-seen", "version-seen-row"):
        assert client.get(address(name, version, base=base.pk, row=0)).status_code == 404


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_template_that_takes_too_much_is_refused_by_name_and_hurts_nobody(bomb, client):
    project = make_project()
    by = make_member(project)
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by)
    (base.folder / "chat_template.jinja").write_text(BOMBS[bomb])
    services.show_row(version, by=by, base=base, index=0)
    run_jobs()
    row = SeenRow.objects.get()
    assert row.state == JobState.SUCCEEDED, row.error_message
    assert row.seen["refused"]["code"] in {"template_limit", "template"}
    client.force_login(by)
    page = client.get(address("version-seen-row", version, base=base.pk, row=0)).content.decode()
    assert "The chat template refuses this row" in page


def test_pairs_show_both_answers(client):
    project = make_project()
    by = make_member(project)
    pairs = [{"prompt": f"ticket {n}", "chosen": "billing low", "rejected": "access"} for n in range(12)]
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by, rows=pairs)
    services.measure_tokens(version, by=by, base=base)
    run_jobs()
    client.force_login(by)
    index = selectors.telling_rows(TokenProfile.objects.get())[0][1]
    page = client.get(address("version-seen-row", version, base=base.pk, row=index)).content.decode()
    assert "Chosen answer" in page and "Rejected answer" in page and "is-pair" in page


def test_plain_text_is_trained_whole(client):
    project = make_project()
    by = make_member(project)
    base = factory.make_base(project, by)
    version = datasets.make_version(
        project=project, by=by, rows=[{"text": f"ticket {n} please help"} for n in range(12)]
    )
    services.measure_tokens(version, by=by, base=base)
    run_jobs()
    client.force_login(by)
    page = client.get(address("version-seen-row", version, base=base.pk, row=_first(version, base))).content.decode()
    assert "stretch-trained" in page and "Context: " not in page and "&lt;|end|&gt;" in page


def _first(version, base) -> int:
    return selectors.telling_rows(selectors.profile_for(version, base))[0][1]


def test_the_api_counts_shows_and_drops(counted, client):
    _, _, base, version = counted
    root = f"/api/v1/projects/{version.project.slug}/versions/{version.pk}"
    stats = client.get(f"{root}/tokens/?base={base.pk}&max_length=64").json()
    assert (stats["answers_cut"], stats["answers_cut_rows"], stats["remedy"]["needed"]) == (1, [20], 106)
    assert client.post(f"{root}/tokens/", {"base": base.pk}, "application/json").status_code == 202

    row = client.get(f"{root}/seen/?base={base.pk}&row=20&max_length=64").json()
    assert row["sequences"][0]["cut"] == 106 - 64 and row["sequences"][0]["kept_trained"] == 0
    assert len(row["sequences"][0]["ids"]) == len(row["sequences"][0]["texts"]) == 106
    index = _untold()
    early = client.get(f"{root}/seen/?base={base.pk}&row={index}")
    assert (early.status_code, early.json()["code"]) == (409, "row_not_rendered")
    assert client.post(f"{root}/seen/", {"base": base.pk, "row": index}, "application/json").status_code == 202
    run_jobs()
    assert client.get(f"{root}/seen/?base={base.pk}&row={index}").json()["index"] == index

    asked = {"base": base.pk, "max_length": 64, "what": "cut"}
    assert client.post(f"{root}/drop-lost/", asked, "application/json").json() == {"build": Build.objects.get().pk}


def test_the_api_names_what_is_wrong_with_a_question(counted, client):
    _, _, base, version = counted
    root = f"/api/v1/projects/{version.project.slug}/versions/{version.pk}"
    for query, code in (("", 400), ("?base=x", 400), ("?base=99999", 404), (f"?base={base.pk}&max_length=3", 400)):
        assert client.get(f"{root}/tokens/{query}").status_code == code
    other = factory.make_base(version.project, version.created_by)
    answer = client.get(f"{root}/tokens/?base={other.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "tokens_not_counted")
    assert client.post(f"{root}/seen/", {"base": base.pk, "row": 21}, "application/json").status_code == 400


def _untold() -> int:
    """A row that is not among the telling ones."""
    known = {index for _, index in selectors.telling_rows(TokenProfile.objects.get())}
    return next(n for n in range(20) if n not in known)
