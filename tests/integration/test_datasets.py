"""Datasets end to end: bytes in, a version or a refusal out, by way of the real child process."""

import gzip
import json

import pytest
from django.core.exceptions import PermissionDenied

from datasets_app import selectors, services
from datasets_app.models import BadRow, DatasetVersion, Overlap, Upload
from projects import artefacts, contributions, lineage
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, LedgerEntry
from tests.factories.datasets import chat, clean, jsonl, make_dataset, make_upload, make_version, tickets
from tests.factories.projects import make_member, make_project

pytestmark = pytest.mark.django_db(transaction=True)


def test_good_rows_become_a_version_and_bad_rows_are_all_listed():
    content = jsonl(tickets(5)) + b'{"messages": []}\nnot json\n' + jsonl(tickets(5, start=5))

    upload = make_upload(make_dataset(), content)

    assert (upload.state, upload.rows_good, upload.rows_bad) == ("succeeded", 10, 2)
    assert upload.detected_format == "openai_chat"
    assert upload.file_type == "jsonl"
    assert [(row.line, row.code) for row in upload.bad_rows.order_by("line")] == [
        (6, "empty_list"),
        (7, "invalid_json"),
    ]
    assert upload.bad_codes == {"empty_list": 1, "invalid_json": 1}
    assert [sample["line"] for sample in upload.samples] == [1, 2, 3]
    version = upload.version
    assert (version.number, version.rows, version.kind) == (1, 10, "sft")
    rows, total = selectors.read_rows(version, 4, 3)
    assert total == 10
    assert [row["line"] for row in rows] == [5, 8, 9]
    assert rows[0]["messages"][0]["content"] == "Ticket 4: please help me with number 4."


def test_a_version_never_changes():
    version = make_version()
    version.rows = 1

    with pytest.raises(Refused, match="never changes"):
        version.save()


def test_the_stored_rows_are_checked_before_they_are_read():
    version = make_version()
    path = artefacts.fetch_directory(version.key, verify=False) / "rows.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))

    with pytest.raises(artefacts.ArtefactDamaged, match="checksum"):
        selectors.read_rows(version)


def test_the_same_rows_have_the_same_content_hash_whatever_file_they_came_in(settings):
    dataset, other = make_dataset(), make_dataset()
    plain = make_upload(dataset, jsonl(tickets(8)))
    packed = make_upload(other, gzip.compress(json.dumps(tickets(8)).encode()), "rows.json.gz")

    assert packed.file_type == "json.gz"
    assert not [p for p in settings.WORK_DIR.rglob("*") if p.suffix == ".parquet"], "the workdir is tidied up"
    assert packed.version.content_hash == plain.version.content_hash


@pytest.mark.parametrize("packed", [False, True])
def test_parquet_with_nested_turns_and_nulls_is_read_like_the_lines_it_was_made_from(packed, settings):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{**row, "tags": ["a"], "id": n, "embedding": [0.5]} for n, row in enumerate(tickets(300))]
    rows[0]["messages"][1]["weight"] = 1
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    content = gzip.compress(out.getvalue()) if packed else out.getvalue()

    upload = make_upload(make_dataset(), content, "rows.parquet")
    lines = make_upload(make_dataset(), jsonl(rows), "rows.jsonl")

    assert (upload.state, upload.rows_good, upload.rows_bad) == ("succeeded", 300, 0), upload.error_message
    assert upload.version.content_hash == lines.version.content_hash
    assert [f.detail for f in selectors.findings(upload.version) if f.code == "ignored_fields"] == [
        {"fields": [["embedding", 300]]}
    ]
    assert not [p for p in settings.WORK_DIR.rglob("*") if p.suffix == ".parquet"], "the workdir is tidied up"


def test_rows_that_are_already_there_make_no_second_version():
    dataset = make_dataset()
    make_upload(dataset, jsonl(tickets(8)))

    again = make_upload(dataset, jsonl(tickets(8)), "copy.jsonl")

    assert (again.state, again.error_code) == ("failed", "same_content")
    assert "version 1" in again.error_message
    assert dataset.versions.count() == 1


def test_a_wrong_guess_is_corrected_by_reading_the_file_again():
    rows = [{"text": f"Document {n}.", "prompt": f"Name {n}", "completion": f"It is {n}."} for n in range(4)]
    dataset = make_dataset()
    first = make_upload(dataset, jsonl(rows))

    assert first.detected_format == "prompt_completion"
    second = services.reread_upload(first, by=dataset.created_by, forced_format="text")
    from tests.factories.projects import run_jobs

    run_jobs()
    second.refresh_from_db()

    assert (second.detected_format, second.version.kind, second.version.number) == ("text", "text", 2)
    assert second.reread_of == first
    assert first.version.kind == "sft"


def test_a_format_that_does_not_fit_lists_every_row_and_makes_nothing():
    dataset = make_dataset()

    upload = make_upload(dataset, jsonl(tickets(7)), forced_format="alpaca")

    assert (upload.state, upload.error_code) == ("failed", "no_good_rows")
    assert (upload.rows_bad, upload.bad_codes) == (7, {"missing_field": 14}), "instruction and output of each row"
    assert upload.bad_rows.filter(field="instruction").count() == 7
    assert dataset.versions.count() == 0
    assert artefacts.local_file(upload.key).exists(), "another format may still fit"


def test_an_upload_may_be_retried_without_bad_rows_being_told_twice(monkeypatch):
    from datasets_app import ingest

    dataset = make_dataset()
    upload = make_upload(dataset, jsonl(tickets(3)) + b"broken\n")
    Upload.objects.filter(pk=upload.pk).update(state="running", fence=upload.fence)
    upload.refresh_from_db()

    ingest.prepare_upload(upload, _folder())

    assert BadRow.objects.filter(upload=upload).count() == 0
    assert Upload.objects.get(pk=upload.pk).rows_bad == 0


def _folder():
    import tempfile
    from pathlib import Path

    return Path(tempfile.mkdtemp())


def test_planted_faults_are_found_and_mended_by_a_recipe():
    rows = tickets(60)
    rows += [rows[0], rows[1], chat("Ticket 900: help.", ""), chat("Ticket 901: help.", '{"queue": "bil')]
    rows += [chat("Ticket 902: my key is AKIAIOSFODNN7EXAMPLE, thanks.", '{"queue": "access", "priority": "low"}')]
    dirty = make_version(rows=rows)

    found = {f.code: f for f in selectors.findings(dirty)}

    assert {code: f.rows for code, f in found.items() if code != "thin_classes"} == {
        "empty_answers": [62],
        "secrets": [64],
        "cut_answers": [63],
        "exact_duplicates": [60, 61],
    }
    assert selectors.verdict(dirty.dataset, dirty).tone == "red"
    tidy = clean(
        dirty,
        {"op": "dedupe"},
        {"op": "drop_finding", "code": "empty_answers"},
        {"op": "drop_finding", "code": "cut_answers"},
        {"op": "mask_secrets"},
    )
    assert (tidy.number, tidy.rows, list(tidy.parents.all())) == (2, 61, [dirty])
    assert [step["rows"] for step in tidy.recipe] == [2, 1, 1, 1]
    assert selectors.findings(tidy) == []
    assert selectors.verdict(tidy.dataset, tidy).tone == "green"
    masked = selectors.read_rows_at(tidy, [60])[0]["messages"][0]["content"]
    assert masked == "Ticket 902: my key is [aws_access_key], thanks."


def test_leaked_golden_rows_are_seen_from_both_sides_and_can_be_dropped():
    project = make_project()
    leaked = chat("TICKET 3 - please help me, with number 3!", '{"queue": "hardware", "priority": "low"}')
    golden = make_version(project=project, purpose="golden", rows=[*tickets(3, start=500), tickets(1)[0], leaked])
    training = make_version(project=project)

    overlap = selectors.overlaps(training).get()

    assert (overlap.golden_version, overlap.exact, overlap.normalised) == (golden, 1, 1)
    assert overlap.rows == [0, 3]
    assert "golden set" in selectors.verdict(training.dataset, training).title
    clean_version = clean(training, {"op": "drop_overlap", "golden": [golden.pk]})
    assert clean_version.rows == 58
    assert selectors.overlaps(clean_version).get().normalised == 0
    later = make_version(project=project, purpose="golden", rows=tickets(2, start=40))
    assert Overlap.objects.get(version=training, golden_version=later).exact == 2


def test_a_recipe_that_leaves_nothing_is_refused_by_name():
    version = make_version(rows=[chat(f"Question {n}?", "") for n in range(3)])
    from tests.factories.projects import run_jobs

    build = services.clean_version(
        version, by=version.created_by, steps=[{"op": "drop_finding", "code": "empty_answers"}]
    )
    run_jobs()
    build.refresh_from_db()

    assert (build.state, build.error_code) == ("failed", "no_rows_left")
    assert version.dataset.versions.count() == 1


def test_a_recipe_cannot_name_a_golden_set_of_another_project():
    foreign = make_version(purpose="golden")
    version = make_version()

    with pytest.raises(Invalid, match="does not exist"):
        services.clean_version(version, by=version.created_by, steps=[{"op": "drop_overlap", "golden": [foreign.pk]}])


@pytest.mark.parametrize("steps", [[], "dedupe", [{"op": "explode"}], [{"op": "drop_finding", "code": "few_rows"}]])
def test_a_recipe_must_make_sense(steps):
    version = make_version()

    with pytest.raises(Invalid):
        services.clean_version(version, by=version.created_by, steps=steps)


def test_search_finds_text_as_people_write_it():
    rows = [chat('She said "yes"\nand left', "Grüße aus Köln."), chat("Nothing here", "At all.")]
    version = make_version(rows=rows)

    for query in ("said yes", '"she said"', "GRÜßE", "köln"):
        hits = selectors.search_rows(version, query)
        assert [row["index"] for row in hits.rows] == [0], query
        assert hits.done
    assert selectors.search_rows(version, "absent").rows == []


def test_search_is_paged_over_all_hits():
    version = make_version(rows=tickets(45))

    first = selectors.search_rows(version, "please number", limit=30)
    assert first.after is not None
    rest = selectors.search_rows(version, "please number", start=first.after, limit=30)

    assert rest.done
    assert [row["index"] for row in [*first.rows, *rest.rows]] == list(range(45))


def test_deleting_takes_everything_with_it():
    version = make_version()
    dataset, key, upload = version.dataset, version.key, version.upload

    services.delete_dataset(dataset, by=dataset.created_by, reason="made for a trial")

    assert not DatasetVersion.objects.exists()
    assert not Upload.objects.exists()
    for gone in (key, upload.key):
        with pytest.raises(artefacts.ArtefactDamaged):
            artefacts.fetch_directory(gone)
    assert AuditEvent.objects.get(action="dataset.deleted").reason == "made for a trial"


def test_what_a_run_stands_on_is_not_deleted():
    from training.models import BaseModelVersion, Run

    version = make_version()
    project, by = version.project, version.created_by
    base = BaseModelVersion.objects.create(
        project=project, name="tiny", source="local", fingerprint="f" * 64, registered_by=by, state="succeeded"
    )
    Run.objects.create(
        project=project, name="first", method="sft", base=base, dataset_version=version, recipe={}, created_by=by
    )

    with pytest.raises(Refused, match="descend from it") as refused:
        services.delete_dataset(version.dataset, by=by)

    assert refused.value.code == "has_descendants"
    assert DatasetVersion.objects.filter(pk=version.pk).exists()
    assert selectors.read_rows(version)[1] == 60


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_only_engineers_and_owners_bring_data(role):
    dataset = make_dataset()
    guest = make_member(dataset.project, role)

    with pytest.raises(PermissionDenied):
        make_upload(dataset, b"{}", by=guest)
    with pytest.raises(PermissionDenied):
        services.delete_dataset(dataset, by=guest)


def test_names_are_unique_in_a_project_and_never_empty():
    dataset = make_dataset(name="tickets")

    with pytest.raises(Invalid, match="already has"):
        make_dataset(dataset.project, dataset.created_by, name=" tickets ")
    with pytest.raises(Invalid, match="needs a name"):
        make_dataset(dataset.project, dataset.created_by, name="  ")
    assert make_dataset(name="tickets").pk != dataset.pk


def test_reading_is_booked_and_written_down():
    version = make_version()

    line = LedgerEntry.objects.get()
    assert (line.cause, line.outcome) == ("data", "succeeded")
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"dataset.created", "upload.created", "upload.succeeded", "datasetversion.created"} <= actions
    assert str(version) in set(AuditEvent.objects.values_list("target_label", flat=True))


def test_uploads_with_faults_wait_for_a_person_until_a_better_one_comes():
    dataset = make_dataset()
    make_upload(dataset, b"\x89PNG\r\n\x1a\n", "photo.jsonl")
    make_upload(dataset, jsonl(tickets(3)) + b"broken\n")

    def waiting():
        return {need.tone for gather in contributions.needs for need in gather(dataset.project, dataset.created_by)}

    assert waiting() >= {"failed", "attention"}
    make_upload(dataset, jsonl(tickets(4)))
    assert "attention" not in waiting()


def test_versions_stand_in_the_ancestry_with_their_parents():
    dirty = make_version(rows=[*tickets(20), *tickets(20)])
    tidy = clean(dirty, {"op": "dedupe"})

    known = lineage.whole(dirty.project)

    assert {f"version:{dirty.pk}", f"version:{tidy.pk}"} <= set(known.briefs)
    assert (f"version:{dirty.pk}", f"version:{tidy.pk}") in {edge[:2] for edge in known.edges}
