"""Adapters on other versions of their base: verdicts, probes as evidence, decisions, and what they let through."""

import json

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from deployments import services as deploying
from deployments.domain import gates
from deployments.selectors import evidence as gathering
from evaluation import selectors, services
from evaluation.models import Probe
from projects import artefacts
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, LedgerEntry
from tests.factories import compatibility as factory
from tests.factories import deployments as requests
from tests.factories import training as training_factory
from tests.factories.evaluation import make_golden, queue_evaluation, use_engine
from tests.factories.projects import make_member, make_project, make_user, run_jobs
from training import proving
from training import selectors as training
from training import services as training_services
from training.models import AdapterAnatomy, BaseAnatomy, BaseDecision, EffectProof

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]
REASON = factory.REASON


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)


@pytest.fixture
def people():
    project = make_project()
    return project, make_member(project)


@pytest.fixture
def pair(people):
    """(adapter, another version of its base, an engineer)"""
    return *factory.make_quick_pair(*people), people[1]


@pytest.fixture
def true_pair(people):
    """The same as workers and runs make it."""
    return *factory.make_pair(*people), people[1]


def address(adapter, base, name="compatibility-pair"):
    return reverse(name, args=[adapter.project.slug, adapter.pk, base.pk])


def text(response):
    return response.content.decode()


@pytest.mark.parametrize(
    ("change", "verdict", "code"),
    [
        ({"fill": 7}, "drifted", "weights"),
        ({"fill": 0, "template": training_factory.TEMPLATE + " "}, "drifted", "chat_template"),
        ({"side": 8}, "incompatible", "shape_mismatch"),
        ({"fill": 0, "swap": True}, "incompatible", "tokenizer"),
    ],
)
def test_structure_is_judged_from_what_was_recorded(people, change, verdict, code):
    adapter, base = factory.make_pair(*people, **change)

    found = training.structure(adapter, base)

    assert (found.verdict, code in found.codes) == (verdict, True), found
    assert training.structure(adapter, adapter.base).verdict == "same"


def test_the_anatomies_and_the_first_proof_come_with_the_adapter(true_pair):
    adapter, base, _ = true_pair
    proof = adapter.proofs.get()

    assert base.anatomy.facts["tensors"] == {"layers.#.q_proj.weight": [[0, 0, [4, 4]]]}
    assert adapter.anatomy.facts["rank"] == adapter.rank
    assert (proof.is_first, proof.numerics, proof.effect) == (True, "cpu float32", 0.5)


def test_evidence_is_written_once(pair):
    adapter, base, by = pair
    decide(adapter, base, by)
    observed = {"ids": [], "tops": [], "base": [0.0], "adapter": [1.0], "numerics": "cpu float32", "noise": 0.0}
    proving.keep(adapter, {"proof": observed}, by=adapter.run)
    proving.keep(adapter, {"proof": observed | {"adapter": [2.0]}}, by=adapter.run)  # the first one stays
    assert adapter.proofs.get().effect == 1.0

    for model in (EffectProof, AdapterAnatomy, BaseAnatomy, BaseDecision):
        row = model.objects.first()
        with pytest.raises(Refused, match="never changed"):
            row.save()
        with pytest.raises(Refused, match="never changed"):
            model.objects.all().update(created_at=None)
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {model._meta.db_table} SET created_at = created_at WHERE id = {row.pk}")


def test_a_base_of_which_nothing_was_recorded_is_unknown_until_a_probe_reads_it(pair):
    adapter, base, by = pair
    base.anatomy.delete()
    base = type(base).objects.get(pk=base.pk)
    assert training.structure(adapter, base).codes[0] == "not_recorded"

    probe = factory.run_probe(adapter, base, by)

    assert probe.state == "succeeded", probe.error_message
    assert BaseAnatomy.objects.get(base=base).facts["read"] == "other"


# Probes


def test_a_probe_is_booked_kept_and_makes_the_verdict(pair):
    adapter, base, by = pair
    probe = factory.run_probe(adapter, base, by, limit=20)

    cell = selectors.cell(adapter, base)
    assert probe.state == "succeeded", probe.error_message
    assert (cell.judgement.verdict, cell.judgement.codes[0]) == ("drifted", "measured")
    assert cell.drift["mean"] == probe.figures["adapter"]["mean"] > 0.3
    line = LedgerEntry.objects.get(subject_kind="evaluation.probe", subject_id=probe.pk)
    assert (line.cause, line.outcome) == ("evaluation", "succeeded")
    assert [row["index"] for row in selectors.readings(probe)] == sorted(
        row["index"] for row in selectors.readings(probe)
    )
    assert len(selectors.readings(probe)) == probe.figures["prompts"] == 20
    assert len(probe.digest) == 64


def test_readings_that_were_touched_are_not_shown(pair, client):
    adapter, base, by = pair
    probe = factory.run_probe(adapter, base, by)
    path = artefacts.fetch_directory(probe.key, verify=False) / "readings.jsonl"
    path.write_text(path.read_text().replace("0.2", "0.0", 1))

    with pytest.raises(artefacts.ArtefactDamaged):
        selectors.readings(probe)
    client.force_login(by)
    assert "The readings of this probe are damaged" in text(client.get(address(adapter, base)))


def test_what_says_the_same_is_compatible(pair):
    adapter, base, by = pair
    factory.run_probe(adapter, base, by, mode="compatible")

    assert selectors.cell(adapter, base).judgement.verdict == "compatible"


@pytest.mark.parametrize(("mode", "code"), [("fail", "flipped_bit"), ("torn", "no_readings")])
def test_a_probe_that_fails_says_why_and_can_be_tried_again(pair, mode, code):
    adapter, base, by = pair
    probe = factory.run_probe(adapter, base, by, mode=mode)
    assert (probe.state, probe.error_code, probe.figures) == ("failed", code, {})

    factory.use_engine()
    services.retry_probe(probe, by=by)
    run_jobs()

    probe.refresh_from_db()
    assert probe.state == "succeeded"


def test_what_cannot_be_loaded_is_not_probed(people):
    adapter, base = factory.make_pair(*people, side=8)

    with pytest.raises(Refused) as refused:
        services.probe_pair(adapter, by=people[1], base=base, golden=make_golden(*people))
    assert refused.value.code == "base_incompatible"


def test_a_pair_is_probed_once_at_a_time_with_the_projects_own_things(pair):
    adapter, base, by = pair
    golden = make_golden(adapter.project, by)
    stranger = make_project()
    theirs = factory.make_version(stranger, make_member(stranger))
    services.probe_pair(adapter, by=by, base=base, golden=golden)

    with pytest.raises(Refused) as twice:
        services.probe_pair(adapter, by=by, base=base, golden=golden)
    with pytest.raises(Invalid) as foreign:
        services.probe_pair(adapter, by=by, base=theirs, golden=golden)
    with pytest.raises(Invalid) as few:
        services.probe_pair(adapter, by=by, base=adapter.base, golden=golden, limit=2)
    assert [one.value.code for one in (twice, foreign, few)] == ["already_probing", "not_found", "out_of_range"]


def test_a_failed_probe_is_not_tried_again_beside_another_of_the_pair(pair):
    adapter, base, by = pair
    failed = factory.run_probe(adapter, base, by, mode="fail")
    services.probe_pair(adapter, by=by, base=base, golden=failed.golden)

    with pytest.raises(Refused) as beside:
        services.retry_probe(failed, by=by)
    assert beside.value.code == "already_probing"


# Decisions


def decide(adapter, base, by, **fields):
    return training_services.decide_on_base(adapter, by=by, base=base, **({"reason": REASON} | fields))


def test_another_base_needs_somebody_who_answers_for_it(pair):
    adapter, base, by = pair
    golden = make_golden(adapter.project, by)
    with pytest.raises(Refused) as refused:
        queue_evaluation(adapter, by, golden=golden, base=base)
    assert refused.value.code == "base_not_same"
    assert "decide on this pair" in refused.value.message

    decision = decide(adapter, base, by)
    evaluation = queue_evaluation(adapter, by, golden=golden, base=base)

    assert (evaluation.base, decision.verdict, decision.codes) == (base, "drifted", ["weights"])
    line = AuditEvent.objects.get(action="basedecision.allowed")
    assert (line.actor, line.reason, line.detail["verdict"]) == (by.email, REASON, "drifted")

    decide(adapter, base, by, allowed=False)
    with pytest.raises(Refused):
        queue_evaluation(adapter, by, golden=golden, base=base)


def test_the_decision_names_the_evidence_that_was_at_hand(pair):
    adapter, base, by = pair
    probe = factory.run_probe(adapter, base, by)

    assert decide(adapter, base, by).evidence == probe.digest


def test_what_cannot_be_decided_is_refused(people):
    adapter, wider = factory.make_pair(*people, side=8)
    codes = []
    for base, fields in [
        (wider, {}), (adapter.base, {}), (wider, {"reason": "short"}), (wider, {"allowed": False}),
    ]:  # fmt: skip
        with pytest.raises(Refused) as refused:
            decide(adapter, base, people[1], **fields)
        codes.append(refused.value.code)

    assert codes == ["base_incompatible", "base_is_same", "reason_missing", "nothing_decided"]
    assert not BaseDecision.objects.exists()


def test_training_goes_on_on_another_base_only_when_somebody_answers_for_it(true_pair, client):
    adapter, base, by = true_pair
    given = {"name": "further", "base": base, "version": adapter.dataset_version, "parent": adapter}
    recipe = training_factory.RECIPE
    with pytest.raises(Refused) as refused:
        training_services.create_run(adapter.project, by=by, recipe=recipe, **given)
    assert (refused.value.code, refused.value.field) == ("base_not_same", "base_decision_reason")

    decide(adapter, base, by)
    run = training_services.create_run(adapter.project, by=by, recipe=recipe, **given)
    run_jobs()

    client.force_login(by)
    page = text(client.get(run.get_absolute_url()))
    assert "On another base than it was trained on: drifted" in page
    assert REASON in page

    decide(adapter, base, by, allowed=False)
    with pytest.raises(Refused) as refused:
        training_services.start_run(run, by=by)
    assert refused.value.code == "base_not_same"
    decide(adapter, base, by)
    training_services.start_run(run, by=by)
    assert run.launched_with["base_decision"]["reason"] == REASON


def test_a_deployment_on_another_base_carries_who_answers_for_it(true_pair):
    adapter, base, by = true_pair
    decide(adapter, base, by)
    use_engine("better")
    evaluation = queue_evaluation(adapter, by, golden=make_golden(adapter.project, by), base=base)
    run_jobs()
    evaluation.refresh_from_db()
    assert evaluation.state == "succeeded", evaluation.error_message
    slot = requests.make_slot(adapter.project)
    asked = deploying.request_deployment(
        adapter.project, by=by, slot=slot, adapter=adapter, evaluation=evaluation, message="x"
    )
    gate = {one.code: one for one in gates.judge(asked.evidence)}["base_fingerprint"]

    assert (gate.status, gate.value) == ("pass", "drifted, decided")
    assert REASON in gate.explanation
    assert asked.evidence["other_base"]["fingerprint"] == base.fingerprint

    decide(adapter, base, by, allowed=False)  # and the approval is no longer about what is there
    changed = [change.field for change in gathering.changes_since(asked)]
    assert "gates/base_fingerprint/status" in changed
    assert json.dumps(gathering.collect_again(asked)["other_base"]["decision"]) == "null"


# Pages


def test_the_matrix_shows_every_pair_and_opens_its_evidence(pair, client):
    adapter, base, by = pair
    factory.run_probe(adapter, base, by)
    client.force_login(make_member(adapter.project, Role.VIEWER))

    page = text(client.get(reverse("compatibility", args=[adapter.project.slug])))

    assert f'href="{address(adapter, base)}"' in page
    assert "its own base" in page
    assert "nats a token" in page
    assert "Drifted" in page


def test_an_empty_matrix_says_what_it_needs(client):
    by = make_member(project := make_project())
    client.force_login(by)

    assert "Nothing to hold against each other yet" in text(client.get(reverse("compatibility", args=[project.slug])))


def test_a_pair_is_probed_and_decided_on_its_page(pair, client):
    adapter, base, by = pair
    golden = make_golden(adapter.project, by)
    client.force_login(by)
    page = text(client.get(address(adapter, base)))
    assert "Its weights are others" in page
    assert "Probe this pair" in page

    factory.use_engine()
    sent = client.post(address(adapter, base, "compatibility-probe"), {"golden": golden.pk, "limit": 20})
    assert sent.status_code == 302
    waiting = text(client.get(address(adapter, base)))
    assert "hx-get" in waiting and "It is being probed now" in waiting
    run_jobs()
    probe = Probe.objects.get()
    status = client.get(reverse("probe-status", args=[adapter.project.slug, probe.pk]))
    assert status["HX-Refresh"] == "true"
    measured = text(client.get(address(adapter, base)))
    assert "The base with the adapter" in measured
    assert "20 of 20 prompts drift beyond the threshold" in measured
    assert probe.digest in measured

    short = client.post(address(adapter, base, "compatibility-decide"), {"allowed": "yes", "reason": "no"})
    assert short.status_code == 400
    assert "at least 10 characters" in text(short)
    client.post(address(adapter, base, "compatibility-decide"), {"allowed": "yes", "reason": REASON})
    assert REASON in text(client.get(address(adapter, base)))
    assert BaseDecision.objects.get().decided_by == by


def test_an_evaluation_on_another_base_says_so_on_its_page(pair, client):
    adapter, base, by = pair
    decide(adapter, base, by)
    use_engine()
    evaluation = queue_evaluation(adapter, by, base=base)
    client.force_login(by)

    page = text(client.get(evaluation.get_absolute_url()))

    assert "On another base than it was trained on: drifted" in page
    assert REASON in page
    assert "On another base" not in text(client.get(queue_evaluation(adapter, by).get_absolute_url()))


def test_two_versions_stand_beside_each_other(pair, client):
    adapter, base, by = pair
    client.force_login(by)

    page = text(
        client.get(reverse("base-compare", args=[adapter.project.slug]), {"one": adapter.base_id, "other": base.pk})
    )
    odd = client.get(reverse("base-compare", args=[adapter.project.slug]), {"one": "x", "other": "%00"})

    assert "The same shapes with other weights" in page
    assert "1 of 1 files by their sha256" in page
    assert odd.status_code == 200 and "The same shapes" not in text(odd)
    unasked = text(client.get(reverse("base-compare", args=[adapter.project.slug])))
    assert "The same shapes with other weights" in unasked, "the newest two, where nobody has chosen"


def test_others_see_nothing_and_viewers_change_nothing(pair, client):
    adapter, base, _ = pair
    addresses = [address(adapter, base), reverse("compatibility", args=[adapter.project.slug])]
    client.force_login(make_user())
    assert {client.get(one).status_code for one in addresses} == {404}
    outsider = make_project()
    client.force_login(make_member(outsider))
    stolen = reverse("compatibility-pair", args=[outsider.slug, adapter.pk, base.pk])
    assert client.get(stolen).status_code == 404

    client.force_login(make_member(adapter.project, Role.VIEWER))
    assert client.post(address(adapter, base, "compatibility-probe")).status_code == 403
    assert client.post(address(adapter, base, "compatibility-decide")).status_code == 403
    make_golden(adapter.project, make_member(adapter.project))
    assert "Engineers and owners of this project can probe it" in text(client.get(addresses[0]))


# API


def api(project, tail):
    return f"/api/v1/projects/{project.slug}/{tail}"


def post(client, where, body):
    return client.post(where, body, content_type="application/json")


def test_the_api_says_what_the_pages_say(pair, client):
    adapter, base, by = pair
    client.force_login(by)
    project = adapter.project

    cells = client.get(api(project, "compatibility/")).json()["results"]
    assert {(cell["base"], cell["verdict"], cell["own"]) for cell in cells} == {
        (base.pk, "drifted", False), (adapter.base_id, "same", True),
    }  # fmt: skip

    factory.use_engine()
    golden = make_golden(project, by)
    asked = {"adapter": adapter.pk, "base": base.pk, "golden": golden.pk, "limit": 16}
    made = post(client, api(project, "probes/"), asked)
    assert made.status_code == 201, made.json()
    run_jobs()
    probe = client.get(api(project, f"probes/{made.json()['id']}/")).json()
    assert (probe["state"], probe["figures"]["verdict"]) == ("succeeded", "drifted")
    assert len(client.get(api(project, f"probes/{probe['id']}/readings/")).json()) == 16

    decision = post(client, api(project, "base-decisions/"), {"adapter": adapter.pk, "base": base.pk, "reason": REASON})
    assert (decision.status_code, decision.json()["evidence"]) == (201, probe["digest"])
    started = post(client, api(project, "evaluations/"), {"adapter": adapter.pk, "golden": golden.pk, "base": base.pk})
    assert (started.status_code, started.json()["base"]) == (201, base.pk)


def test_the_api_refuses_in_the_same_words(pair, client):
    adapter, base, by = pair
    client.force_login(by)
    project, golden = adapter.project, make_golden(adapter.project, by)
    elsewhere = make_project()
    theirs = factory.make_version(elsewhere, make_member(elsewhere))

    undecided = post(
        client, api(project, "evaluations/"), {"adapter": adapter.pk, "golden": golden.pk, "base": base.pk}
    )
    foreign = post(client, api(project, "probes/"), {"adapter": adapter.pk, "base": theirs.pk, "golden": golden.pk})
    assert (undecided.status_code, undecided.json()["code"]) == (409, "base_not_same")
    assert foreign.status_code == 400

    assert client.get(api(project, f"adapters/{adapter.pk}/proofs/")).json() == []
    found = client.get(api(project, f"bases/{base.pk}/compare/"), {"other": adapter.base_id}).json()
    assert (found["kind"], found["fields"][4]["same"]) == ("weights", False)
    assert client.get(api(project, f"bases/{base.pk}/compare/"), {"other": theirs.pk}).status_code == 400
