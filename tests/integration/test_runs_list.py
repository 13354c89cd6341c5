"""Lists of runs: what filters and orders find, on the page and in the API, and what stands on the rows for them."""

from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from datasets_app.models import Dataset, DatasetVersion
from projects.services import budget as corrections
from tests.factories.deployments import make_base, make_version
from tests.factories.listed import make_listed
from tests.factories.projects import make_member, make_project, make_user
from tests.factories.training import make_owner, make_run
from training import selectors
from training.domain.listing import ORDERS, Listing
from training.models import Run
from training.selectors.choices import MOST_CHOICES

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_engines(settings):
    """Which engine runs are given is forgotten with the test."""
    settings.ENGINES = dict(settings.ENGINES)


@pytest.fixture
def many(client):
    """Eight runs that differ in everything that can be sorted by; two of them have no figures yet."""
    project = make_project()
    ann, bob = make_member(project, name="Ann"), make_member(project, name="Bob")
    bases = [make_base(project, ann), make_base(project, ann)]
    versions = [make_version(project, ann), make_version(project, ann)]
    runs = []
    for n in range(6):
        fields = {"last_loss": 2 - n / 4, "tokens_per_second": 100.0 * n, "seconds": 60.0 * (n % 3), "cost": Decimal(n)}
        runs.append(
            make_listed(
                project, ann if n % 2 else bob, base=bases[n % 2], version=versions[n % 3 % 2],
                name=f"Router {'abcdef'[n]}", state="failed" if n == 4 else "succeeded", **fields,
            )
        )  # fmt: skip
    for n in range(2):
        runs.append(make_listed(project, bob, base=bases[0], version=versions[0], name=f"draft {n}", state="draft"))
        Run.objects.filter(pk=runs[-1].pk).update(started_at=None)
    client.force_login(ann)
    client.project, client.runs, client.ann, client.bob = project, runs, ann, bob
    return client


def page(client, query="", **headers):
    return client.get(reverse("run-list", args=[client.project.slug]) + f"?{query}", headers=headers)


def named(client, query=""):
    return [row["name"] for row in page(client, query).context["rows"]]


def listed(client, query=""):
    answer = client.get(f"/api/v1/projects/{client.project.slug}/runs/?{query}")
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["results"]]


FILTERS = {
    "name=router+c": ["Router c"],
    "name=ROUTER": [f"Router {letter}" for letter in "fedcba"],
    "name=%25": [],
    "state=failed": ["Router e"],
    "method=dpo": [],
}


@pytest.mark.parametrize("query", FILTERS)
def test_page_and_api_find_the_same(many, query):
    assert named(many, query) == listed(many, query) == FILTERS[query]


def test_filters_join(many):
    run = many.runs[1]
    query = f"base={run.base_id}&dataset_version={run.dataset_version_id}&creator={many.ann.pk}&state=succeeded"

    assert named(many, query) == listed(many, query) == ["Router b"]


def test_days_are_whole_and_both_of_them_count(many):
    long_ago = timezone.now() - timedelta(days=40)
    Run.objects.filter(pk=many.runs[0].pk).update(created_at=long_ago)
    day = long_ago.date()

    assert named(many, f"since={day}&until={day}") == listed(many, f"since={day}&until={day}") == ["Router a"]
    assert "Router a" not in named(many, f"since={day + timedelta(days=1)}")


@pytest.mark.parametrize("order", [turn + name for name in ORDERS for turn in ("", "-")])
def test_every_order_is_the_same_on_page_and_api_and_turns_round(many, order):
    found = named(many, f"order={order}")

    assert found == listed(many, f"order={order}")
    assert sorted(found) == sorted(run.name for run in many.runs)
    if order.removeprefix("-") in {"loss", "rate", "cost", "duration", "started"}:
        assert set(found[-2:]) == {"draft 0", "draft 1"}, "what has no value comes last both ways"


def test_orders_say_what_they_do(many):
    assert named(many, "order=loss")[:2] == ["Router f", "Router e"]
    assert named(many, "order=-loss")[:2] == ["Router a", "Router b"]
    assert named(many, "order=name")[0] == "draft 0"
    assert named(many, "order=-cost")[0] == "Router f"


@pytest.mark.parametrize(
    "order", ["-created", "loss", "-loss", "duration", "-cost", "started", "name", "state", "base"]
)
def test_the_api_pages_forth_and_back_without_loss(many, order):
    """Over ties and over runs without a value."""
    Run.objects.filter(pk__in=[run.pk for run in many.runs[:3]]).update(last_loss=1.0, cost=Decimal("0.3"))
    whole = listed(many, f"order={order}")
    address, there, pages = f"/api/v1/projects/{many.project.slug}/runs/?order={order}&page_size=3", [], []
    while address:
        body = many.get(address).json()
        pages.append([row["name"] for row in body["results"]])
        there += pages[-1]
        last, address = address, body["next"]
    assert there == whole

    back = many.get(many.get(last).json()["previous"]).json()
    assert [row["name"] for row in back["results"]] == pages[-2]
    first = many.get(back["previous"]).json()
    assert [row["name"] for row in first["results"]] == pages[0]
    assert first["previous"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=odd", "unknown_state"),
        ("order=colour", "unknown_order"),
        ("order=--loss", "unknown_order"),
        ("since=2026-13-01", "bad_day"),
        ("until=yesterday", "bad_day"),
        ("base=-1", "bad_number"),
        ("creator=١", "bad_number"),
        ("method=magic", "unknown_method"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_both(many, query, code):
    answer = many.get(f"/api/v1/projects/{many.project.slug}/runs/?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert page(many, query).status_code == 400


def test_a_cursor_of_another_list_is_refused(many):
    address = f"/api/v1/projects/{many.project.slug}/runs/?order=loss&page_size=2"
    cursor = many.get(address).json()["next"].partition("cursor=")[2].partition("&")[0]

    for query in (f"order=cost&cursor={cursor}", "order=loss&cursor=xx"):
        assert many.get(f"/api/v1/projects/{many.project.slug}/runs/?{query}").json()["code"] == "bad_cursor"


def test_typing_gets_the_list_alone_and_going_back_the_page(many):
    whole, part = page(many, "name=c").content.decode(), page(many, "name=c", hx_request="true")
    again = page(many, "name=c", hx_request="true", hx_history_restore_request="true").content.decode()

    assert 'id="filter-name"' in whole
    assert 'id="filter-name"' not in part.content.decode()
    assert 'id="runs"' in part.content.decode()
    assert part.headers["Cache-Control"] == "no-store"
    typed = page(many, "name=c&state=&order=-created", hx_request="true", hx_trigger="run-filter")
    assert typed.headers["HX-Replace-Url"].endswith("/runs/?name=c"), "the address holds what is filtered by"
    assert 'id="filter-name"' in again


def test_no_match_has_a_way_out(many):
    body = page(many, "name=nothing-like-this").content.decode()

    assert "No run matches" in body
    assert 'value="nothing-like-this"' in body
    assert "Clear filters" in body


def test_signs_that_mean_something_to_the_database_are_signs(many):
    told = ["50% of it", "a_b", "a\\b", "it's"]
    for run, name in zip(many.runs, told, strict=False):
        Run.objects.filter(pk=run.pk).update(name=name)

    for name in told:
        assert named(many, urlencode({"name": name})) == listed(many, urlencode({"name": name})) == [name]
    assert named(many, "name=_") == ["a_b"]


def test_figures_of_a_row_are_what_the_orm_reads(many):
    Run.objects.filter(pk=many.runs[0].pk).update(cost=Decimal("0.1234"), last_loss=0.1, seconds=1.5)
    row = selectors.listed(many.project, Listing(order="created"), 0, 1)[0]
    run = Run.objects.get(pk=many.runs[0].pk)

    for name in ("cost", "last_loss", "seconds", "started_at", "tokens_per_second", "step"):
        assert getattr(row, name) == getattr(run, name), name
    assert isinstance(row.cost, Decimal)
    assert row.started_at.tzinfo is not None


def test_a_run_whose_base_went_after_it_was_read_is_shown_once_more(many, monkeypatch):
    monkeypatch.setattr("training.selectors.listing.names", lambda known, **_: known)

    rows = selectors.listed(many.project, Listing(), 0, 100)

    assert {(row.base, row.data, row.by) for row in rows} == {("deleted", "deleted", "deleted")}


def test_headings_turn_what_they_sort_and_keep_the_filters(many):
    headings = {one["name"]: one for one in page(many, "state=succeeded&order=loss").context["headings"]}
    loss, cost = headings["loss"], headings["cost"]

    assert (loss["sorted"], loss["url"].rpartition("?")[2]) == ("ascending", "state=succeeded&order=-loss")
    assert (cost["sorted"], cost["url"].rpartition("?")[2]) == ("none", "state=succeeded&order=-cost")
    assert "arrow-up" in loss["arrow"] and cost["arrow"] == ""


def test_names_are_text_and_no_markup(many):
    Run.objects.filter(pk=many.runs[0].pk).update(name="<b>bold</b> & 'more'")

    body = page(many).content.decode()

    assert "<b>bold" not in body
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; &#x27;more&#x27;" in body


def more_runs(client, count):
    template = client.runs[0]
    fields = {"project": client.project, "method": "sft", "base": template.base, "recipe": template.recipe}
    Run.objects.bulk_create(
        Run(dataset_version=template.dataset_version, created_by=client.bob, name=f"more {n}", **fields)
        for n in range(count)
    )


def asked(ask):
    """The statements, without those about who asks."""
    with CaptureQueriesContext(connection) as told:
        ask()
    return [one["sql"] for one in told if "session" not in one["sql"] and 'FROM "projects_user"' not in one["sql"]]


def test_a_hundred_runs_a_page_in_as_many_queries_as_one(many):
    few = asked(lambda: page(many))
    more_runs(many, 150)
    hundred = asked(lambda: page(many))

    assert len(page(many).context["rows"]) == 100
    assert "101–158 of 158" in page(many, "page=2").content.decode()
    # My projects, what is offered, and the rows; a page that is full has to be counted as well.
    assert (len(few), len(hundred), len(asked(lambda: page(many, "page=2")))) == (3, 4, 3)
    assert "COUNT(*)" in hundred[-1]


@pytest.mark.parametrize(
    ("number", "shown"),
    [("2", 2), ("3", 2), ("999999999", 2), ("0", 2), ("-1", 2), ("", 1), ("two", 1), ("١", 1), ("9" * 40, 2)],
)
def test_a_page_that_is_not_there_is_the_last_and_nonsense_the_first(many, number, shown):
    more_runs(many, 150)

    got = page(many, f"page={number}").context["page"]

    assert (got.number, got.paginator.num_pages, got.paginator.count) == (shown, 2, 158)
    assert len(got.object_list) == {1: 100, 2: 58}[shown]


def test_runs_keep_the_names_of_who_left_and_of_data_that_is_not_offered(many):
    many.project.memberships.filter(user=many.bob).delete()
    old = many.runs[0].dataset_version
    Dataset.objects.filter(pk=old.dataset_id).update(purpose="golden")

    for headers in ({}, {"hx_request": "true"}):
        rows = {row["name"]: row for row in page(many, **headers).context["rows"]}
        assert rows["Router a"]["sub"].endswith("by Bob")
        assert rows["Router a"]["data"] == str(old)
        assert rows["Router a"]["base"] == many.runs[0].base.name
    offered = page(many).context["choices"]
    assert list(offered.people.values()) == ["Ann"]
    assert list(offered.versions) == [many.runs[1].dataset_version_id]
    assert list(offered.bases.values()) == sorted(base.name for base in {run.base for run in many.runs})


def test_what_is_offered_comes_newest_first_and_ends_where_it_would_get_too_long(many):
    dataset = many.runs[0].dataset_version.dataset
    told = {"rows": 1, "size_bytes": 1, "kind": "sft", "source_format": "openai-chat", "created_by": many.ann}
    DatasetVersion.objects.bulk_create(
        DatasetVersion(dataset=dataset, number=n, content_hash=f"{n:064x}", key=f"v/{n}", **told)
        for n in range(2, 2 + MOST_CHOICES)
    )
    offered = list(page(many).context["choices"].versions.values())

    assert offered == [f"{dataset.name} v{n}" for n in range(1 + MOST_CHOICES, 1, -1)]


def test_the_row_knows_what_the_run_came_to():
    run = make_run()
    line = run.project.ledger.get(subject_kind="training.run")
    attempt = line.attempt

    assert run.last_loss == pytest.approx(2 / 5)
    assert run.tokens_per_second == 50.0, "of the whole run, once there is a whole"
    run.refresh_from_db()
    assert run.cost == line.amount
    assert run.seconds == pytest.approx(attempt.seconds)

    corrections.correct_line(line, by=make_owner(run.project), amount=line.amount + 1, reason="Wrong price.")
    run.refresh_from_db()
    assert run.cost == line.amount + 1


def test_outsiders_see_no_list(many):
    many.force_login(make_user())

    assert page(many).status_code == 404
    assert many.get(f"/api/v1/projects/{many.project.slug}/runs/").status_code == 404
