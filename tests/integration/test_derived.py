"""Models made of adapters: made by a worker, kept with their hashes, fetched, removed."""

import hashlib
import io
import json
import zipfile
from decimal import Decimal

import pytest
from django.urls import reverse

from projects import artefacts, lineage
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, Hold, LedgerEntry
from tests.factories import derived as factory
from tests.factories.compatibility import make_quick_pair
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services
from training.models import DerivedModel

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)


@pytest.fixture
def known():
    """(adapter, an engineer)"""
    project = make_project()
    by = make_member(project)
    return make_quick_pair(project, by)[0], by


def text(response):
    return response.content.decode()


def page(adapter):
    return reverse("adapter-detail", args=[adapter.project.slug, adapter.pk])


def test_a_model_is_made_booked_and_kept_with_its_hashes(known):
    adapter, by = known
    row = factory.make_derived(adapter, by)

    assert row.state == "succeeded", row.error_message
    assert row.size_bytes == sum(entry["size"] for entry in row.manifest["files"].values())
    assert row.digest == row.manifest["digest"] and len(row.digest) == 64
    assert row.proofs["cpu float32"]["kept"] == 0.98
    assert not row.parts_dir.exists()
    place = selectors.derived_path(row)
    assert (place / "model.safetensors").read_bytes().startswith(b"int8")
    line = LedgerEntry.objects.get(subject_kind="training.derived", subject_id=row.pk)
    assert (line.cause, line.outcome) == ("training", "succeeded")
    hold = Hold.objects.get(job_label="training.derived", job_id=row.pk)
    assert hold.state == "released" and hold.amount >= Decimal(0)
    assert {"derivedmodel.created", "derivedmodel.succeeded"} <= set(
        AuditEvent.objects.filter(target=f"training.derivedmodel:{row.pk}").values_list("action", flat=True)
    )


def test_what_it_takes_is_told_before_and_learned_from(known):
    adapter, by = known
    type(adapter.base).objects.filter(pk=adapter.base_id).update(size_bytes=4_000_000, parameters=1_000_000)
    adapter = type(adapter).objects.get(pk=adapter.pk)
    before = {place.kind.value: place for place in selectors.derived_of(adapter)}
    row = factory.make_derived(adapter, by, "merged")
    after = {place.kind.value: place for place in selectors.derived_of(adapter)}

    assert before["merged"].projection["measured"] == 0
    assert all(place.projection["size_bytes"] > 0 and place.may_be_made for place in before.values())
    assert after["int8"].projection["measured"] == 1
    assert after["merged"].row == row and not after["merged"].may_be_made


def test_there_is_one_of_a_kind(known):
    adapter, by = known
    factory.use_engines()
    row = services.make_derived(adapter, by=by, kind="int4")
    with pytest.raises(Refused, match="being made already") as waiting:
        services.make_derived(adapter, by=by, kind="int4")
    run_jobs()
    with pytest.raises(Refused, match="made already") as made:
        services.make_derived(adapter, by=by, kind="int4")

    assert (waiting.value.code, made.value.code) == ("already_making", "already_made")
    assert DerivedModel.objects.filter(adapter=adapter).count() == 1
    with pytest.raises(Refused, match="no kind"):
        services.make_derived(adapter, by=by, kind="int2")
    assert row.pk


@pytest.mark.parametrize(("mode", "code"), [("fail", "not_mergeable"), ("disk", "disk_full")])
def test_a_failure_is_named_and_tried_again(known, mode, code):
    adapter, by = known
    row = factory.make_derived(adapter, by, mode=mode)
    assert (row.state, row.error_code) == ("failed", code)
    assert row.parts_dir.exists(), "what was written whole is kept for the next attempt"

    factory.use_engines()
    again = services.retry_derived(row, by=by)
    run_jobs()
    again.refresh_from_db()

    assert (again.state, again.attempt) == ("succeeded", 2)
    assert LedgerEntry.objects.filter(subject_kind="training.derived", subject_id=row.pk).count() == 2


def test_a_directory_that_is_not_what_was_told_is_not_kept(known):
    adapter, by = known
    row = factory.make_derived(adapter, by, mode="torn")

    assert (row.state, row.error_code, row.key) == ("failed", "artefact_damaged", "")


def test_a_worker_that_is_lost_gives_the_making_back(known, settings):
    from django.utils import timezone

    from projects import leases

    adapter, by = known
    factory.use_engines()
    row = services.make_derived(adapter, by=by, kind="int8")
    lost = leases.claim([DerivedModel], owner="host/gpu/1")
    assert lost == row
    DerivedModel.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timezone.timedelta(minutes=5))
    assert leases.give_back(lost, cause="training")
    run_jobs()

    row.refresh_from_db()
    assert (row.state, row.fence) == ("succeeded", 2)
    assert row.key.endswith("/f2")


def test_a_waiting_one_is_cancelled_at_once(known):
    adapter, by = known
    factory.use_engines()
    row = services.make_derived(adapter, by=by, kind="merged")
    services.cancel_derived(row, by=by, reason="not now")
    row.refresh_from_db()

    assert row.state == "cancelled"
    assert Hold.objects.get(job_id=row.pk, job_label="training.derived").state == "released"


def test_over_the_budget_an_owner_is_asked(known, client):
    adapter, by = known
    owner = make_member(adapter.project, role=Role.OWNER)
    adapter.project.monthly_budget = Decimal("0")
    adapter.project.cpu_hour_price = adapter.project.gpu_hour_price = Decimal("1000")
    adapter.project.save()
    factory.use_engines()
    with pytest.raises(Refused) as refused:
        services.make_derived(adapter, by=by, kind="int8")
    assert refused.value.code == "over_budget"
    assert not DerivedModel.objects.exists()

    client.force_login(by)
    address = reverse("derived-make", args=[adapter.project.slug, adapter.pk])
    asked = client.post(address, {"kind": "int8"})
    assert asked.status_code == 409 and "budget_reason" in text(asked)
    client.post(address, {"kind": "int8", "budget_reason": "the customer waits for it"})
    row = DerivedModel.objects.get()
    assert row.state == "held"
    assert "owner" in text(client.get(page(adapter)))
    services.cancel_derived(row, by=owner)
    row.refresh_from_db()
    assert row.state == "cancelled"


def test_what_was_withdrawn_is_made_into_nothing(known):
    from projects.services import lineage as withdrawing

    adapter, by = known
    node = f"adapter:{adapter.pk}"
    withdrawing.withdraw_node(adapter.project, by=by, node=node, cause="withdrawn", reason="trained on the wrong rows")

    with pytest.raises(Refused) as refused:
        services.make_derived(adapter, by=by, kind="int8")
    assert refused.value.code == "stale_ancestor"


def test_bytes_that_were_touched_are_not_sent(known, client):
    adapter, by = known
    row = factory.make_derived(adapter, by)
    place = artefacts.fetch_directory(row.key, verify=False) / "model.safetensors"
    data = bytearray(place.read_bytes())
    data[5] ^= 1
    place.write_bytes(data)

    client.force_login(by)
    for name in ("derived-download", "derived-bom", "derived-card"):
        answer = client.get(reverse(name, args=[row.project.slug, row.pk]))
        assert answer.status_code == 409 and "checksum differs" in text(answer), name
    assert client.get(reverse("derived-file", args=[row.project.slug, row.pk, "model.safetensors"])).status_code == 409
    assert client.get(reverse("derived-file", args=[row.project.slug, row.pk, "config.json"])).status_code == 200


def test_the_archive_holds_what_the_manifest_says(known, client):
    adapter, by = known
    row = factory.make_derived(adapter, by)
    client.force_login(by)

    answer = client.get(reverse("derived-download", args=[row.project.slug, row.pk]))
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        found = {name.split("/")[1]: archive.read(name) for name in archive.namelist()}
    assert answer["Content-Disposition"].startswith("attachment")
    assert {name: hashlib.sha256(data).hexdigest() for name, data in found.items() if name != "MANIFEST.json"} == {
        name: entry["sha256"] for name, entry in row.manifest["files"].items()
    }
    assert json.loads(found["MANIFEST.json"])["digest"] == row.digest


def test_a_download_that_broke_off_goes_on(known, client):
    adapter, by = known
    row = factory.make_derived(adapter, by)
    client.force_login(by)
    address = reverse("derived-file", args=[row.project.slug, row.pk, "model.safetensors"])
    whole = b"".join(client.get(address).streaming_content)

    def ask(header):
        return client.get(address, headers={"Range": header})

    tail = ask("bytes=100-")
    assert (tail.status_code, b"".join(tail.streaming_content)) == (206, whole[100:])
    assert tail["Content-Range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
    assert b"".join(ask("bytes=0-3").streaming_content) == whole[:4]
    assert b"".join(ask("bytes=-5").streaming_content) == whole[-5:]
    assert ask(f"bytes={len(whole)}-").status_code == 416
    assert ask("bytes=7-3").status_code == 200
    assert ask("lines=1-2").status_code == 200
    assert client.get(reverse("derived-file", args=[row.project.slug, row.pk, "MANIFEST.json"])).status_code == 404


def test_it_goes_with_its_bytes_and_the_log_keeps_what_was(known):
    adapter, by = known
    row = factory.make_derived(adapter, by)
    place = artefacts.fetch_directory(row.key, verify=False)
    with pytest.raises(Refused) as refused:
        services.delete_adapter(adapter, by=by)
    assert refused.value.code == "has_descendants"

    services.delete_derived(row, by=by)

    assert not place.exists() and not DerivedModel.objects.exists()
    kept = AuditEvent.objects.get(action="derivedmodel.deleted")
    assert kept.detail["digest"] == row.digest
    assert LedgerEntry.objects.filter(subject_kind="training.derived").exists()


def test_one_that_is_being_made_or_evaluated_stays(known):
    adapter, by = known
    factory.use_engines()
    waiting = services.make_derived(adapter, by=by, kind="merged")
    with pytest.raises(Refused) as making:
        services.delete_derived(waiting, by=by)
    run_jobs()
    row = DerivedModel.objects.get(pk=waiting.pk)
    from evaluation import services as evaluating
    from tests.factories.evaluation import make_golden

    evaluating.evaluate_derived(row, by=by, golden=make_golden(row.project, by))
    with pytest.raises(Refused) as judging:
        services.delete_derived(row, by=by)

    assert (making.value.code, judging.value.code) == ("still_running", "has_descendants")


def test_lineage_knows_merges_and_quantisations(known):
    adapter, by = known
    merged, packed = (factory.make_derived(adapter, by, kind) for kind in ("merged", "int4"))
    result = factory.evaluate(packed, by)
    whole = lineage.whole(adapter.project)

    assert whole.counts["merge"] == whole.counts["quantisation"] == whole.counts["equivalence"] == 1
    edges = {tuple(edge[:2]) for edge in whole.edges}
    assert {
        (f"adapter:{adapter.pk}", f"merge:{merged.pk}"),
        (f"base:{adapter.base_id}", f"quantisation:{packed.pk}"),
        (f"quantisation:{packed.pk}", f"equivalence:{result.pk}"),
        (f"version:{result.golden_id}", f"equivalence:{result.pk}"),
    } <= edges
    node = lineage.node(adapter.project, f"quantisation:{packed.pk}")
    assert (node.url, node.state) == (packed.get_absolute_url(), "succeeded")
    assert f"merge:{merged.pk}" in lineage.nodes(adapter.project, [f"merge:{merged.pk}", f"merge:{packed.pk}"])


def test_the_page_tells_what_is_not_made_what_is_and_what_failed(known, client):
    adapter, by = known
    client.force_login(by)
    empty = text(client.get(page(adapter)))
    assert (
        empty.count("Not made.") == 3 and "Make INT4" in empty and "hx-get" not in empty.split('id="derived"')[1][:200]
    )

    factory.make_derived(adapter, by, "merged")
    factory.make_derived(adapter, by, "int8", mode="disk")
    services.make_derived(adapter, by=by, kind="int4")
    found = text(client.get(page(adapter)))
    assert "Not evaluated" in found and "equal within" not in found.lower().replace("equal is only", "")
    assert "of the worker&#x27;s disk" in found and "Try again" in found
    assert "Waiting for a worker" in found and 'hx-trigger="every 2s"' in found.split('id="derived"')[1][:300]
    panel = client.get(reverse("derived-panel", args=[adapter.project.slug, adapter.pk]))
    assert "Waiting for a worker" in text(panel) and "<html" not in text(panel)


def test_a_viewer_sees_and_may_not_and_an_outsider_finds_nothing(known, client):
    adapter, by = known
    row = factory.make_derived(adapter, by)
    viewer, stranger = make_member(adapter.project, role=Role.VIEWER), make_member(make_project())
    make = reverse("derived-make", args=[adapter.project.slug, adapter.pk])

    client.force_login(viewer)
    assert "Make INT4" not in text(client.get(page(adapter)))
    assert client.get(row.get_absolute_url()).status_code == 200
    assert client.post(make, {"kind": "int4"}).status_code == 403
    assert client.post(reverse("derived-delete", args=[row.project.slug, row.pk])).status_code == 403

    client.force_login(stranger)
    assert client.get(row.get_absolute_url()).status_code == 404
    other = stranger.memberships.get().project
    for name in ("derived-detail", "derived-download", "derived-bom", "derived-card"):
        assert client.get(reverse(name, args=[other.slug, row.pk])).status_code == 404, name


def test_from_the_page_it_is_made_once_and_deleted(known, client):
    adapter, by = known
    factory.use_engines()
    client.force_login(by)
    make = reverse("derived-make", args=[adapter.project.slug, adapter.pk])
    assert client.post(make, {"kind": "int8"}).status_code == 302
    assert client.post(make, {"kind": "int8"}).status_code == 409
    assert client.post(make, {"kind": "int9"}).status_code == 400
    run_jobs()
    row = DerivedModel.objects.get()
    shown = text(client.get(row.get_absolute_url()))
    assert "Not evaluated" in shown and "model.safetensors" in shown

    assert client.post(reverse("derived-delete", args=[row.project.slug, row.pk])).status_code == 302
    assert not DerivedModel.objects.exists()
