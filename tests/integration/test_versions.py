"""Versions: recipes, splits, previews, going back, differences, comparisons with golden sets."""

import json
from decimal import Decimal

import pytest
from django.urls import reverse

from datasets_app import selectors, services
from datasets_app.models import Build, Comparison, Dataset, DatasetVersion, Overlap, VersionDiff
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent
from tests.factories.datasets import chat, clean, jsonl, make_dataset, make_upload, make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def engineer(project):
    return make_member(project, Role.ENGINEER)


@pytest.fixture
def version(project, engineer):
    return make_version(project=project, by=engineer)


@pytest.fixture
def web(client, engineer):
    client.force_login(engineer)
    return client


def address(name, version, *more):
    return reverse(name, args=[version.project.slug, version.pk, *more])


def split(**fields):
    parts = [{"name": "tickets train", "share": 0.8}, {"name": "tickets golden", "share": 0.2, "purpose": "golden"}]
    return {"op": "split", "parts": parts, **fields}


def test_a_recipe_makes_a_version_that_says_what_each_step_did(version):
    made = clean(version, {"op": "map", "do": "set_label", "value": "x"}, {"op": "sample", "n": 10})

    assert made.rows == 10
    assert [(step["op"], step["dropped"], step["changed"]) for step in made.recipe] == [
        ("map", 0, 60), ("sample", 50, 0)
    ]  # fmt: skip
    rows, _ = selectors.read_rows(made, 0, 1)
    assert rows[0]["label"] == "x"
    assert list(made.parents.all()) == [version]


def test_a_split_makes_a_version_in_each_dataset_and_no_row_is_in_two(version, engineer):
    services.clean_version(version, by=engineer, steps=[split()])
    run_jobs()

    train, golden = (Dataset.objects.get(name=name).versions.get() for name in ("tickets train", "tickets golden"))
    ids = [{row["id"] for row in selectors.read_rows(v, 0, 100)[0]} for v in (train, golden)]
    assert golden.dataset.purpose == "golden"
    assert train.rows + golden.rows == 60
    assert ids[0].isdisjoint(ids[1])
    assert train.overlaps.get(golden_version=golden).total == 0


def test_a_split_into_a_dataset_of_another_purpose_is_refused(version, engineer):
    make_dataset(version.project, engineer, purpose="training", name="tickets golden")

    with pytest.raises(Invalid, match="is a training dataset already"):
        services.clean_version(version, by=engineer, steps=[split()])

    assert not Build.objects.exists()


def test_versions_are_merged_in_the_order_of_the_recipe(version, engineer):
    other = make_version(project=version.project, by=engineer, rows=tickets(5, start=58))

    made = clean(version, {"op": "merge", "versions": [other.pk], "duplicates": "drop"})

    assert made.rows == 63
    assert set(made.parents.all()) == {version, other}


def test_a_golden_set_cannot_be_merged_into_training_data(version, engineer):
    golden = make_version(project=version.project, by=engineer, purpose="golden", rows=tickets(5, start=500))

    with pytest.raises(Refused, match="held back for measuring"):
        services.clean_version(version, by=engineer, steps=[{"op": "merge", "versions": [golden.pk]}])


def test_versions_of_another_project_cannot_be_merged(version, engineer):
    foreign = make_version()

    with pytest.raises(Invalid, match="no other released version"):
        services.clean_version(version, by=engineer, steps=[{"op": "merge", "versions": [foreign.pk]}])


def test_going_back_makes_a_new_version_with_the_old_rows(version, engineer):
    clean(version, {"op": "sample", "n": 10})

    services.restore_version(version, by=engineer)
    run_jobs()

    newest = selectors.latest_version(version.dataset)
    assert (newest.number, newest.rows, newest.content_hash) == (3, 60, version.content_hash)
    with pytest.raises(Refused, match="the newest version already"):
        services.restore_version(newest, by=engineer)


def test_a_preview_counts_and_shows_and_makes_nothing(version, engineer):
    preview = services.preview_recipe(version, by=engineer, steps=[{"op": "sample", "n": 10}, split()])
    run_jobs()
    preview.refresh_from_db()

    sample, parts = preview.report["steps"]
    assert (preview.report["left"], sample["dropped"], len(sample["examples"])) == (10, 50, 3)
    assert sum(parts["parts"].values()) == 10
    assert DatasetVersion.every.count() == 1


def test_the_builder_adds_moves_removes_previews_and_makes(web, version):
    url = address("recipe-builder", version)

    added = web.post(url, {"do": "add", "added": "sample", "step": ["dedupe"]})
    moved = web.post(url, {"do": "up:1", "step": ["dedupe", "sample"], "step-1-n": "10", "step-1-seed": "0"})
    refused = web.post(url, {"do": "preview", "step": ["sample"], "step-0-n": "ten"})
    preview = web.post(url, {"do": "preview", "step": ["sample"], "step-0-n": "10"})
    made = web.post(url, {"do": "make", "step": ["sample", "trim"], "step-0-n": "10", "step-0-by_label": "yes"})

    assert "Take a sample" in added.content.decode()
    assert moved.content.decode().index('value="sample"') < moved.content.decode().index('value="dedupe"')
    assert "is a whole number" in refused.content.decode()
    assert preview.context["preview"].state == "queued"
    assert made.status_code == 302
    assert Build.objects.get().steps[0] == {"op": "sample", "n": 10, "seed": 0, "by_label": True}


def test_every_step_of_the_builder_is_read_as_it_was_shown(version):
    from datasets_app.pages.drafts import Draft
    from datasets_app.pages.offers import OFFERS
    from datasets_app.services.builds import readable

    filled = {
        "text": "a text",
        "area": "words",
        "number": "7",
        "percent": "50",
        "texts": "a, b",
        "many": ["1"],
        "check": "yes",
    }
    for kind, offer in OFFERS.items():
        raw = {"kind": kind}
        for one in offer.fields:
            raw[one.name] = one.usual or (
                one.choices[0][0] if one.kind == "select" and one.choices else filled.get(one.kind, "")
            )
        if kind == "filter_role":
            raw["values"] = ["user"]
        if kind == "filter_origin":
            raw["values"] = ["human"]
        if kind == "drop_finding":
            raw["code"] = "secrets"
        if kind == "sample":
            raw["share"] = ""
        if kind == "split":
            raw |= {"name3": "", "share3": "", "name4": "", "share4": "", "name2": "b"}
        steps = readable(Draft([raw]).as_steps())

        again = Draft.of_steps([step.as_dict() for step in steps])
        assert readable(again.as_steps()) == steps, kind


def test_the_same_recipe_is_kept_and_followed_on_another_version(web, version, engineer):
    recipe = services.save_recipe(
        version.project, by=engineer, name=" Half  of it ", steps=[{"op": "sample", "share": 0.5, "by_label": True}]
    )
    other = make_version(version.dataset, tickets(20, start=100))

    listed = web.get(reverse("recipe-list", args=[version.project.slug])).content.decode()
    opened = web.get(
        reverse("recipe-apply", args=[version.project.slug]), {"recipe": recipe.pk, "version": other.pk}, follow=True
    )

    assert "Half of it" in listed
    assert opened.context["version"] == other
    assert opened.context["steps"][0]["kind"] == "sample"
    with pytest.raises(Invalid, match="already has a recipe"):
        services.save_recipe(version.project, by=engineer, name="Half of it", steps=[{"op": "dedupe"}])


def test_the_differences_of_two_versions_are_computed_once_and_shown(web, version, engineer):
    made = clean(
        version,
        {"op": "drop_rows", "indices": [0]},
        {"op": "map", "do": "replace", "old": "number 7.", "new": "number seven."},
    )
    url = reverse("diff-detail", args=[version.project.slug, version.pk, made.pk])

    before = web.get(url).content.decode()
    web.post(url)
    web.post(url)
    run_jobs()
    after = web.get(url)

    assert "Compare rows" in before
    diff = VersionDiff.objects.get()
    assert diff.summary | {"rows": 0, "labels": 0} == {
        "same": 58, "added": 0, "removed": 1, "edited": 1, "rows": 0, "labels": 0
    }  # fmt: skip
    assert "<ins>" in after.content.decode() and "seven" in after.content.decode()
    removed = web.get(url, {"rows": "removed"}).content.decode()
    assert "Ticket 0" in removed


def test_versions_of_different_kinds_or_projects_are_not_compared(version, engineer):
    text = make_version(make_dataset(version.project, engineer), [{"text": f"Text {n}."} for n in range(5)])

    with pytest.raises(Invalid, match="cannot be compared row by row"):
        services.compare_versions(text, by=engineer, before=version)
    with pytest.raises(Invalid, match="no such version"):
        services.compare_versions(version, by=engineer, before=make_version())


def test_a_golden_set_that_comes_later_is_compared_with_what_trains(version, engineer):
    golden = make_version(project=version.project, by=engineer, purpose="golden", rows=tickets(3))

    overlap = Overlap.objects.get(version=version, golden_version=golden)
    assert overlap.exact == 3
    assert Comparison.objects.get().state == "succeeded"
    services.ensure_overlaps(version)


def test_a_version_that_was_not_compared_is_refused_at_launch_in_plain_words(version, engineer):
    make_version(project=version.project, by=engineer, purpose="golden", rows=tickets(3))
    Overlap.objects.all().delete()

    with pytest.raises(Refused, match="still being compared"):
        services.ensure_overlaps(version)

    services.compare_version(version, by=engineer)
    run_jobs()
    services.ensure_overlaps(version)


def test_where_the_rows_come_from_is_counted_and_held_against_the_policy(project, engineer):
    rows = [
        {**chat(f"q {n}", f"a {n}"), "provenance": {"origin": "synthetic", "teacher": "big", "depth": 1}}
        if n % 2
        else {**chat(f"q {n}", f"a {n}"), "provenance": {"origin": "human", "contributor": "Ann"}}
        for n in range(100)
    ]
    project.max_synthetic_share = Decimal("0.25")
    project.save()

    version = make_version(project=project, by=engineer, rows=rows)

    origins = version.stats["origins"]
    assert origins["origin"] == [["human", 50], ["synthetic", 50]]
    assert origins["synthetic_share"] == 0.5
    assert version.findings.get(code="synthetic_share").severity == "error"
    assert version.findings.get(code="contributor_concentration").count == 50
    assert selectors.policy_breaches(version) == [
        f"50.0% of the rows of {version} are written by models; this project allows 25.0%."
    ]
    kept = clean(version, {"op": "filter", "field": "origin", "values": ["synthetic"], "keep": False})
    assert selectors.policy_breaches(kept) == []
    assert kept.stats["origins"]["origin"] == [["human", 50]]


def test_the_audit_log_does_not_get_long_lists_of_rows(version, engineer):
    services.clean_version(version, by=engineer, steps=[{"op": "drop_rows", "indices": list(range(55))}])

    event = AuditEvent.objects.get(action="build.created")
    assert event.detail["steps"] == [{"op": "drop_rows", "indices": "55 of them"}]
    assert len(json.dumps(event.detail)) < 200


def test_an_upload_in_the_same_dataset_says_what_it_changed(version):
    upload = make_upload(version.dataset, jsonl(tickets(10)))

    assert upload.version.number == 2
