"""Changes that a second person merges: proposing, looking, merging once, closing, bringing up to date."""

import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from datasets_app import lineage, selectors, services
from datasets_app.models import DatasetVersion, Proposal, Stage, VersionDiff
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent
from projects.services.tokens import create_token
from tests.factories.datasets import jsonl, make_upload, make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def author(project):
    return make_member(project, Role.ENGINEER)


@pytest.fixture
def second(project):
    return make_member(project, Role.REVIEWER)


@pytest.fixture
def version(project, author):
    made = make_version(project=project, by=author)
    project.review_data_changes = True
    project.save()
    made.dataset.project.refresh_from_db()
    return DatasetVersion.objects.select_related("dataset__project").get(pk=made.pk)


@pytest.fixture
def proposal(version, author):
    services.clean_version(
        version, by=author, steps=[{"op": "drop_rows", "indices": [0, 1]}], title="Drop two", reason="They are wrong."
    )
    run_jobs()
    return Proposal.objects.get()


def test_a_change_of_a_dataset_is_proposed_with_its_differences_and_not_used(proposal, version):
    assert (proposal.state, proposal.title, proposal.base) == ("open", "Drop two", version)
    assert proposal.version.stage == Stage.PROPOSED
    assert VersionDiff.objects.get(before=version, after=proposal.version).summary["removed"] == 2
    assert selectors.latest_version(version.dataset) == version
    assert list(version.dataset.versions.all()) == [version]
    assert not DatasetVersion.objects.filter(pk=proposal.version_id).exists()


def test_an_upload_into_an_existing_dataset_is_proposed_too(version):
    upload = make_upload(version.dataset, jsonl(tickets(5)))

    proposal = Proposal.objects.get()
    assert upload.version.stage == Stage.PROPOSED
    assert (proposal.version, proposal.build, proposal.title) == (upload.version, None, "Rows of rows.jsonl")


def test_the_first_version_of_a_dataset_needs_nobody(version, author):
    first = make_version(project=version.project, by=author)

    assert first.stage == Stage.RELEASED
    assert not Proposal.objects.exists()


def test_a_second_person_merges_and_then_it_counts(proposal, second, version):
    services.merge_proposal(proposal, by=second, reason="Looked at both rows.")

    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by) == ("merged", second)
    assert selectors.latest_version(version.dataset) == DatasetVersion.objects.get(pk=proposal.version_id)
    assert AuditEvent.objects.get(action="proposal.merged").reason == "Looked at both rows."
    with pytest.raises(Refused, match="was merged by"):
        services.close_proposal(proposal, by=second, reason="No.")


def test_nobody_merges_their_own_change_not_even_in_the_database(proposal, author):
    with pytest.raises(Refused, match="You proposed this change"):
        services.merge_proposal(proposal, by=author)
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(state="merged", decided_by=author)


def test_closing_somebody_elses_change_needs_a_reason_and_taking_back_none(proposal, second, author):
    with pytest.raises(Invalid, match="Say why"):
        services.close_proposal(proposal, by=second)

    services.close_proposal(proposal, by=author)

    proposal.version.refresh_from_db()
    assert (proposal.state, proposal.version.stage) == ("closed", Stage.DECLINED)


def test_what_the_dataset_has_moved_past_is_brought_up_to_date_and_then_merged(version, author, second, project):
    steps = [{"op": "drop_rows", "indices": [0, 59]}, {"op": "map", "do": "set_label", "value": "x"}]
    services.clean_version(version, by=author, steps=steps)
    run_jobs()
    services.clean_version(version, by=second_engineer(project), steps=[{"op": "drop_rows", "indices": [0, 5]}])
    run_jobs()
    mine, other = Proposal.objects.order_by("pk")
    services.merge_proposal(other, by=second)

    with pytest.raises(Refused, match="has moved on to"):
        services.merge_proposal(mine, by=second)
    services.update_proposal(mine, by=author)
    run_jobs()
    mine.refresh_from_db()

    newest = selectors.latest_version(version.dataset)
    assert (mine.state, mine.base, mine.version.rows) == ("open", newest, 57)
    assert mine.build.steps[0] == {"op": "drop_rows", "indices": [57]}  # row 0 was gone, row 59 has moved
    assert DatasetVersion.every.filter(stage=Stage.DECLINED).count() == 1
    services.merge_proposal(mine, by=second)
    assert selectors.latest_version(version.dataset).rows == 57


def second_engineer(project):
    return make_member(project, Role.ENGINEER)


def test_a_proposed_version_cannot_be_trained_on_built_on_or_measured_with(proposal, author, client):
    with pytest.raises(Refused, match="only proposed"):
        services.refuse_unfit(proposal.version)
    with pytest.raises(Refused, match="only proposed"):
        services.clean_version(proposal.version, by=author, steps=[{"op": "dedupe"}])

    client.force_login(author)
    slug = proposal.project.slug
    page = client.get(proposal.version.get_absolute_url())
    run = client.post(
        f"/api/v1/projects/{slug}/runs/", {"name": "x", "base": 1, "dataset_version": proposal.version_id}
    )
    listed = client.get(f"/api/v1/projects/{slug}/versions/").json()["results"]

    assert "This version is proposed" in page.content.decode()
    assert "Plan a run" not in page.content.decode()
    assert run.status_code in (400, 404, 415)
    assert [one["id"] for one in listed] == [proposal.base_id]


def test_a_change_whose_rows_cannot_be_made_leaves_nothing_to_decide(version, author):
    steps = [{"op": "filter", "field": "label", "values": ["absent"]}]
    build = services.clean_version(version, by=author, steps=steps)
    run_jobs()

    build.refresh_from_db()
    assert build.error_code == "no_rows_left"
    assert not Proposal.objects.exists()


def test_those_who_may_merge_are_told_and_the_author_is_not(proposal, author, second, project):
    viewer = make_member(project, Role.VIEWER)

    assert [need.text for need in lineage.changes(project, second)] == [
        f"“Drop two” of {proposal.dataset} waits for a second person"
    ]
    assert lineage.changes(project, author) == lineage.changes(project, viewer) == []


def test_the_page_shows_reason_differences_and_comments(client, proposal, second):
    client.force_login(second)
    url = proposal.get_absolute_url()

    client.post(reverse("proposal-comment", args=[proposal.project.slug, proposal.pk]), {"text": "Why these?"})
    shown = client.get(url).content.decode()
    listed = client.get(reverse("proposal-list", args=[proposal.project.slug])).content.decode()
    merged = client.post(reverse("proposal-merge", args=[proposal.project.slug, proposal.pk]), follow=True)

    for text in ("They are wrong.", "Drop 2 chosen rows", "Ticket 0", "Why these?", "Merge change"):
        assert text in shown, text
    assert "Drop two" in listed
    assert "Merged." in merged.content.decode()


def test_a_token_never_merges(client, proposal, second):
    _, key = create_token(proposal.project, by=second, name="robot", scope="write")

    answer = client.post(
        f"/api/v1/projects/{proposal.project.slug}/changes/{proposal.pk}/merge/",
        headers={"Authorization": f"Bearer {key}"},
        content_type="application/json",
    )

    assert answer.status_code == 403
    assert Proposal.objects.get().state == "open"


@pytest.mark.django_db(transaction=True)
def test_of_two_merges_at_once_one_wins(project, author):
    version = make_version(project=project, by=author)
    project.review_data_changes = True
    project.save()
    services.clean_version(
        DatasetVersion.objects.get(pk=version.pk), by=author, steps=[{"op": "drop_rows", "indices": [1]}]
    )
    run_jobs()
    people = [make_member(project, Role.REVIEWER) for _ in range(2)]
    ends = []

    def merge(person):
        try:
            ends.append(services.merge_proposal(Proposal.objects.get(), by=person).state)
        except Exception as refused:
            ends.append(type(refused).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=merge, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ends.count("merged") == 1
    assert AuditEvent.objects.filter(action="proposal.merged").count() == 1


def test_a_dataset_with_open_changes_can_be_deleted_with_all_its_files(proposal, author, version):
    services.delete_dataset(version.dataset, by=author, reason="Not needed.")

    assert not Proposal.objects.exists()
    assert not DatasetVersion.every.exists()
    assert not VersionDiff.objects.exists()
