"""Derived models held against their adapter on golden sets: verdicts, evidence, pages, bills and cards."""

import json

import pytest
import yaml
from django.urls import reverse

from evaluation import selectors, services
from evaluation.models import Equivalence
from projects import artefacts
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import LedgerEntry
from tests.factories import derived as factory
from tests.factories.compatibility import make_quick_pair
from tests.factories.datasets import make_version, tickets
from tests.factories.evaluation import make_golden, make_retention
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors as training
from training import services as training_services

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)


@pytest.fixture
def known():
    """(a model in INT8, an engineer)"""
    project = make_project()
    by = make_member(project)
    return factory.make_derived(make_quick_pair(project, by)[0], by), by


def text(response):
    return response.content.decode()


@pytest.mark.parametrize(
    ("mode", "judgement", "headline"),
    [
        ("equal", "equal", "Equal within 2 points"),
        ("worse", "worse", "Worse by 40.0 points"),
        ("better", "better", "Better by 40.0 points"),
        ("close", "cannot_say", "Too close to say"),
    ],
)
def test_what_may_be_said_of_it(known, client, mode, judgement, headline):
    row, by = known
    result = factory.evaluate(row, by, mode)
    verdict = selectors.verdict_of(result)

    assert result.state == "succeeded", result.error_message
    assert (verdict.judgement.value, verdict.headline) == (judgement, headline)
    client.force_login(by)
    for address in (row.get_absolute_url(), row.adapter.get_absolute_url(), result.get_absolute_url()):
        assert headline in text(client.get(address)), address


def test_without_an_evaluation_nothing_is_called_equal(known, client):
    row, by = known
    client.force_login(by)
    for address in (row.get_absolute_url(), row.adapter.get_absolute_url()):
        shown = text(client.get(address))
        assert "Not evaluated" in shown
        assert "Equal within" not in shown
    assert selectors.standing(row).verdict is None
    assert training.derived_scores(row) == []


def test_a_golden_set_that_is_too_small_proves_nothing(known):
    row, by = known
    result = factory.evaluate(row, by, golden=make_golden(row.project, by, rows=40))
    verdict = selectors.verdict_of(result)

    assert (verdict.judgement.value, result.figures["same_text"]) == ("cannot_say", 40)
    assert "189 rows at the very least" in verdict.sentence
    assert selectors.verdict_of(factory.evaluate(row, by, golden=result.golden, margin=0.1)).judgement.value == "equal"


def test_it_is_booked_and_its_answers_are_evidence(known, client):
    row, by = known
    result = factory.evaluate(row, by, "worse")

    line = LedgerEntry.objects.get(subject_kind="evaluation.equivalence", subject_id=result.pk)
    assert (line.cause, line.outcome, len(result.digest)) == ("evaluation", "succeeded", 64)
    assert len(selectors.both_answers(result)) == result.figures["n"] == 200
    row.refresh_from_db()
    assert set(row.proofs) == {"cpu float32", "cuda bfloat16"}, "the first load in other numbers keeps what it read"

    client.force_login(by)
    shown = text(client.get(result.get_absolute_url(), {"outcome": "regression"}))
    assert "something else" in shown and "Regression" in shown
    assert "No such row" in text(client.get(result.get_absolute_url(), {"outcome": "gain"}))
    place = artefacts.fetch_directory(result.key, verify=False) / "items.jsonl"
    place.write_text(place.read_text().replace("something", "anything", 1))
    assert "The answers of this evaluation are damaged" in text(client.get(result.get_absolute_url()))


@pytest.mark.parametrize(("mode", "code"), [("fail", "flipped_bit"), ("torn", "answers_incomplete")])
def test_a_load_that_is_not_what_was_made_is_named(known, client, mode, code):
    row, by = known
    result = factory.evaluate(row, by, mode)
    assert (result.state, result.error_code, result.figures) == ("failed", code, {})

    client.force_login(by)
    assert "Evaluation failed" in text(client.get(row.adapter.get_absolute_url()))
    factory.use_engines()
    services.retry_equivalence(result, by=by)
    run_jobs()
    result.refresh_from_db()
    assert (result.state, result.attempt) == ("succeeded", 2)


def test_bytes_that_were_touched_are_not_evaluated(known):
    row, by = known
    place = artefacts.fetch_directory(row.key, verify=False) / "model.safetensors"
    place.write_bytes(place.read_bytes()[:-1] + b"x")

    result = factory.evaluate(row, by)

    assert (result.state, result.error_code) == ("failed", "artefact_damaged")
    assert "model.safetensors" in result.error_message


def test_what_cannot_be_asked(known):
    row, by = known
    golden = make_golden(row.project, by)
    with pytest.raises(Invalid, match="margin"):
        services.evaluate_derived(row, by=by, golden=golden, margin=0.5)
    with pytest.raises(Invalid, match="golden set"):
        services.evaluate_derived(row, by=by, golden=make_retention(row.project, by))
    foreign = make_project()
    with pytest.raises(Invalid, match="no such golden set"):
        services.evaluate_derived(row, by=by, golden=make_golden(foreign, make_member(foreign)))
    factory.use_engines()
    services.evaluate_derived(row, by=by, golden=golden)
    with pytest.raises(Refused) as twice:
        services.evaluate_derived(row, by=by, golden=golden)
    waiting = training_services.make_derived(row.adapter, by=by, kind="merged")
    with pytest.raises(Refused) as early:
        services.evaluate_derived(waiting, by=by, golden=golden)
    assert (twice.value.code, early.value.code) == ("already_evaluating", "not_made")


def test_all_of_an_adapter_at_once_and_never_twice(known, client):
    row, by = known
    factory.make_derived(row.adapter, by, "int4")
    golden = make_golden(row.project, by, rows=200)
    client.force_login(by)
    address = reverse("derived-evaluate-all", args=[row.project.slug, row.adapter_id])
    factory.use_engines()
    assert client.post(address, {"golden": golden.pk, "margin": "2"}).status_code == 302
    assert Equivalence.objects.count() == 2
    assert client.post(address, {"golden": golden.pk, "margin": "2"}).status_code == 409
    run_jobs()

    assert client.post(address, {"golden": golden.pk, "margin": "2"}).status_code == 409
    assert client.post(address, {"golden": golden.pk, "margin": "90"}).status_code == 400
    shown = text(client.get(row.adapter.get_absolute_url()))
    assert shown.count("Equal within 2 points") >= 2
    assert f"Score on {golden}" in shown


def test_a_result_of_bytes_that_are_gone_says_nothing_of_new_ones(known):
    row, by = known
    result = factory.evaluate(row, by)
    type(row).objects.filter(pk=row.pk).update(digest="f" * 64)
    row.refresh_from_db()

    assert selectors.standing(row).verdict is None
    assert training.derived_scores(row) == []
    with pytest.raises(Refused) as refused:
        services.retry_equivalence(result, by=by)
    assert refused.value.code == "model_changed"


def test_its_evaluations_go_with_it(known):
    row, by = known
    result = factory.evaluate(row, by)
    place = artefacts.fetch_directory(result.key)

    training_services.delete_derived(row, by=by)

    assert not Equivalence.objects.exists() and not place.exists()


def test_a_waiting_one_is_cancelled(known, client):
    row, by = known
    factory.use_engines()
    golden = make_golden(row.project, by)
    result = services.evaluate_derived(row, by=by, golden=golden)
    client.force_login(by)
    assert "waits for a free worker" in text(client.get(result.get_absolute_url()))
    assert client.post(reverse("equivalence-cancel", args=[row.project.slug, result.pk])).status_code == 302
    result.refresh_from_db()
    assert result.state == "cancelled"
    assert client.post(reverse("equivalence-retry", args=[row.project.slug, result.pk])).status_code == 302
    assert client.get(reverse("equivalence-status", args=[row.project.slug, result.pk])).status_code == 200

    viewer = make_member(row.project, role=Role.VIEWER)
    client.force_login(viewer)
    assert client.post(reverse("equivalence-cancel", args=[row.project.slug, result.pk])).status_code == 403
    stranger = make_member(make_project())
    client.force_login(stranger)
    assert client.get(result.get_absolute_url()).status_code == 404


# Bills of materials and cards


@pytest.fixture(scope="module")
def schema():
    """CycloneDX's own schema of 1.6, with those it refers to."""
    from importlib import resources

    from jsonschema import Draft7Validator
    from referencing import Registry, Resource

    folder = resources.files("cyclonedx.schema") / "_res"
    names = [f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.6", "spdx", "jsf-0.82")]
    found = {name: json.loads((folder / name).read_text()) for name in names}
    # They name each other as files that lie side by side.
    registry = Registry().with_resources(
        [(f"http://cyclonedx.org/schema/{name}", Resource.from_contents(one)) for name, one in found.items()]
    )
    return Draft7Validator(found[names[0]], registry=registry)


def test_a_bill_of_materials_is_valid_and_says_what_can_be_checked(known, schema, client):
    row, by = known
    factory.evaluate(row, by)
    client.force_login(by)
    for name, thing in (("derived-bom", row), ("adapter-bom", row.adapter)):
        answer = client.get(reverse(name, args=[row.project.slug, thing.pk]))
        bill = json.loads(answer.content)
        assert [error.message for error in schema.iter_errors(bill)] == [], name
        assert answer["Content-Type"] == "application/vnd.cyclonedx+json; version=1.6"
        assert answer["Content-Disposition"].endswith('.cdx.json"')

    bill = json.loads(client.get(reverse("derived-bom", args=[row.project.slug, row.pk])).content)
    subject = bill["metadata"]["component"]
    assert (subject["type"], subject["version"]) == ("machine-learning-model", row.digest)
    assert {one["name"]: one["hashes"][0]["content"] for one in subject["components"]} == {
        name: entry["sha256"] for name, entry in row.manifest["files"].items()
    }
    ancestors = {one["name"] for one in subject["pedigree"]["ancestors"]}
    assert ancestors == {row.adapter.base.name, row.adapter.name}
    metrics = {one["type"]: one for one in subject["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    (difference,) = (one for name, one in metrics.items() if name.startswith("Difference of"))
    assert difference["confidenceInterval"] == {"lowerBound": "-0.018845", "upperBound": "0.018845"}
    (data,) = (one for one in bill["components"] if one["type"] == "data")
    version = row.adapter.dataset_version
    assert (data["name"], data["version"]) == (version.dataset.name, f"v{version.number}")
    assert {"ref": subject["bom-ref"], "dependsOn": sorted({one["bom-ref"] for one in bill["components"]
            if one["type"] in {"data", "machine-learning-model"}})} in bill["dependencies"]  # fmt: skip


def test_a_bill_says_what_is_not_known(known, schema, client):
    row, by = known
    adapter = row.adapter
    type(adapter.base).objects.filter(pk=adapter.base_id).update(licence="llama3.1")
    client.force_login(by)
    bill = json.loads(client.get(reverse("adapter-bom", args=[row.project.slug, adapter.pk])).content)

    assert [error.message for error in schema.iter_errors(bill)] == []
    subject = bill["metadata"]["component"]
    assert subject["licenses"] == [{"license": {"name": "llama3.1"}}]
    assert (
        "It has not been evaluated on a golden set." in subject["modelCard"]["considerations"]["technicalLimitations"]
    )
    assert "quantitativeAnalysis" not in subject["modelCard"]


def test_a_card_is_read_by_hugging_face_with_its_results(known, client):
    from huggingface_hub import ModelCard

    row, by = known
    client.force_login(by)
    address = reverse("derived-card", args=[row.project.slug, row.pk])
    assert "Not evaluated yet" in text(client.get(address))
    result = factory.evaluate(row, by)

    answer = client.get(address)
    card = ModelCard(text(answer))
    assert answer["Content-Type"].startswith("text/markdown")
    assert (card.data.base_model, card.data.base_model_relation) == ("tiny", "quantized")
    (found,) = card.data.eval_results
    assert (found.dataset_name, found.metric_type, found.metric_value, found.task_type) == (
        str(result.golden), "exact_match", 1.0, "text-generation",
    )  # fmt: skip
    assert yaml.safe_load(text(answer).split("---")[1])["model-index"][0]["name"]


def test_the_adapter_page_has_both_and_where_it_is_live(known, client):
    row, by = known
    client.force_login(by)
    shown = text(client.get(row.adapter.get_absolute_url()))

    for name in ("adapter-bom", "adapter-card"):
        assert reverse(name, args=[row.project.slug, row.adapter_id]) in shown
    for words in ("Live in", "nowhere", "Method", "Adapted layers", "q_proj"):
        assert words in shown, words


def test_findings_about_weights_of_an_adapter_trained_here_are_shown_and_block_its_approval(known, client):
    from deployments.domain import gates

    adapter = known[0].adapter
    finding = {"code": "norm_outlier", "text": "Layers that are changed far more: layers.0.", "where": "layers.0",
               "refuses": False}  # fmt: skip
    type(adapter).objects.filter(pk=adapter.pk).update(findings=[finding])
    client.force_login(known[1])

    assert adapter.run is not None
    assert "Layers that are changed far more: layers.0." in text(client.get(adapter.get_absolute_url()))
    told = client.get(api(known[0], f"adapters/{adapter.pk}/")).json()["findings"]
    assert [one["code"] for one in told] == ["norm_outlier"]
    judged = gates.sound({"adapter": {"findings": ["norm_outlier layers.0"]}})
    assert judged.status is not gates.Status.PASS


# API


def api(row, path=""):
    return f"/api/v1/projects/{row.project.slug}/{path}"


def test_the_whole_way_over_the_api(known, client):
    row, by = known
    client.force_login(by)
    factory.use_engines()
    kind = {"content_type": "application/json"}
    asked = {"adapter": row.adapter_id, "kind": "int4"}
    first = client.post(api(row, "derived-models/"), asked, headers={"Idempotency-Key": "once"}, **kind)
    again = client.post(api(row, "derived-models/"), asked, headers={"Idempotency-Key": "once"}, **kind)
    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert client.post(api(row, "derived-models/"), asked, **kind).json()["code"] == "already_making"
    run_jobs()
    made = client.get(api(row, f"derived-models/{first.json()['id']}/")).json()
    assert (made["state"], made["kind"], made["facts"]["figures"]["share"]) == ("succeeded", "int4", 1.0)
    assert made["proofs"][0]["kept"] == 0.98
    listed = client.get(api(row, "derived-models/"), {"adapter": row.adapter_id}).json()["results"]
    assert [one["id"] for one in listed] == [made["id"], row.pk]

    golden = make_golden(row.project, by, rows=200)
    body = {"adapter": row.adapter_id, "golden": golden.pk}
    every = client.post(api(row, "equivalences/every/"), body, **kind)
    assert (every.status_code, len(every.json())) == (201, 2)
    run_jobs()
    found = client.get(api(row, "equivalences/"), {"derived": made["id"]}).json()["results"]
    assert [one["verdict"]["judgement"] for one in found] == ["equal"]
    assert len(client.get(api(row, f"equivalences/{found[0]['id']}/answers/")).json()) == 200
    body = {"derived": made["id"], "golden": golden.pk, "margin": 0.05}
    one = client.post(api(row, "equivalences/"), body, **kind).json()
    assert client.post(api(row, f"equivalences/{one['id']}/cancel/"), {}, **kind).json()["state"] == "cancelled"
    assert client.post(api(row, f"equivalences/{one['id']}/retry/"), {}, **kind).status_code == 202

    where = api(row, f"derived-models/{made['id']}/")
    assert client.get(f"{where}bom/").json()["specVersion"] == "1.6"
    assert "base_model_relation" in text(client.get(f"{where}card/"))
    assert client.get(api(row, f"adapters/{row.adapter_id}/bom/")).json()["bomFormat"] == "CycloneDX"
    part = client.get(f"{where}files/", {"name": "config.json"}, headers={"Range": "bytes=0-1"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b'{"')
    assert client.get(f"{where}files/", {"name": "../x"}).status_code == 404
    assert client.get(f"{where}download/").status_code == 200
    assert client.delete(where).status_code == 409, "it is being evaluated"
    run_jobs()
    assert client.delete(where).status_code == 204


def test_over_the_api_others_projects_do_not_exist(known, client):
    row = known[0]
    stranger = make_member(make_project())
    project = stranger.memberships.get().project
    client.force_login(stranger)
    kind = {"content_type": "application/json"}
    there = f"/api/v1/projects/{project.slug}"
    version = make_version(project=project, by=stranger, purpose="golden", rows=tickets(20))

    assert client.get(f"{there}/derived-models/{row.pk}/").status_code == 404
    assert client.get(api(row, "derived-models/")).status_code == 404
    made = client.post(f"{there}/derived-models/", {"adapter": row.adapter_id, "kind": "int4"}, **kind)
    judged = client.post(f"{there}/equivalences/", {"derived": row.pk, "golden": version.pk}, **kind)
    assert (made.status_code, judged.status_code) == (400, 400)
    viewer = make_member(row.project, role=Role.VIEWER)
    client.force_login(viewer)
    assert client.get(api(row, "derived-models/"), {"adapter": "x"}).status_code == 400
    assert client.get(api(row, "derived-models/"), {"kind": "int8"}).json()["code"] == "unknown_filter"
    assert (
        client.post(api(row, "derived-models/"), {"adapter": row.adapter_id, "kind": "int4"}, **kind).status_code == 403
    )
    assert client.delete(api(row, f"derived-models/{row.pk}/")).status_code == 403
