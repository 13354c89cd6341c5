"""A deletion request: where a person's text stands, what was made of it, and taking it out."""

import pytest
from django.urls import reverse

from datasets_app import selectors, services
from datasets_app.models import TextSearch
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent
from projects.supervision import workdir_of
from tests.factories.datasets import chat, clean, make_dataset, make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = pytest.mark.django_db

NAME = "Zoë Möller"


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def engineer(project):
    return make_member(project, Role.ENGINEER)


@pytest.fixture
def versions(project, engineer):
    """Two versions of one dataset with the name, one of another without it."""
    rows = [*tickets(4), chat(f"I am {NAME}.", "Hello!"), chat("Who?", f"dear {NAME.upper()}")]
    first = make_version(make_dataset(project, engineer), rows)
    second = clean(first, {"op": "drop_rows", "indices": [4]})
    make_version(make_dataset(project, engineer), tickets(3, start=50))
    return first, second


def searched(project, by, text):
    search = services.search_text(project, by=by, text=text)
    run_jobs()
    search.refresh_from_db()
    return search


def test_one_search_names_versions_rows_and_everything_made_of_them(project, engineer, versions, client):
    from tests.factories.deployments import make_adapter

    adapter = make_adapter(project, engineer, dataset_version=versions[0])
    search = searched(project, engineer, f" {NAME.lower()} ")
    client.force_login(engineer)
    page = client.get(search.get_absolute_url()).content.decode()
    answer = b"".join(client.get(reverse("text-search-answer", args=[project.slug, search.pk]))).decode()

    assert search.matches == [
        {"version": versions[1].pk, "rows": 1, "first": [4]},
        {"version": versions[0].pk, "rows": 2, "first": [4, 5]},
    ]
    assert "2 versions hold this text" in page
    assert adapter.name in page and adapter.run.name in page
    assert f"adapter,{adapter.name}" in answer
    assert answer.count("\n") == 5


def test_erasing_makes_newest_versions_without_the_rows_and_says_so_in_their_recipe(project, engineer, versions):
    search = searched(project, engineer, NAME)

    (build,) = services.erase_text(search, by=engineer)
    run_jobs()
    build.refresh_from_db()

    assert build.version.recipe[0]["reason"] == "deletion request"
    assert searched(project, engineer, NAME).matches[0]["version"] == versions[1].pk
    assert [match.newest for match in selectors.matches(search)] == [False, False]
    with pytest.raises(Refused, match="nothing to erase"):
        services.erase_text(search, by=engineer)


def test_the_text_stands_in_no_log_and_no_folder_and_can_be_forgotten(project, engineer, versions, settings):
    search = searched(project, engineer, NAME)

    assert list(workdir_of(search).rglob("*")) == []
    assert NAME not in str(list(AuditEvent.objects.values_list("detail", "target_label", "reason")))
    assert AuditEvent.objects.get(action="textsearch.created").detail["fingerprint"]
    services.forget_search(search, by=engineer)
    assert not TextSearch.objects.exists()


def test_too_little_text_is_refused_and_nothing_found_is_said(project, engineer, versions, client):
    with pytest.raises(Invalid, match="3 to 400 characters"):
        services.search_text(project, by=engineer, text=" a ")
    client.force_login(engineer)

    nothing = client.get(searched(project, engineer, "nobody of that name").get_absolute_url()).content.decode()

    assert "No version of this project holds this text" in nothing


def test_viewers_do_not_see_whom_somebody_looked_for(project, engineer, versions, client):
    search = services.search_text(project, by=engineer, text=NAME)
    client.force_login(make_member(project, Role.VIEWER))

    assert client.get(search.get_absolute_url()).status_code == 403
    assert client.get(f"/api/v1/projects/{project.slug}/text-searches/").status_code == 403
