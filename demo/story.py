"""The demo's main job, done by its people through the product's own services and workers."""

from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from datasets_app import services as datasets
from datasets_app.models import Dataset, DatasetVersion
from demo import data
from demo.people import People
from demo.telling import DemoFailed, say, step, wait_for
from deployments import services as deployments
from deployments.models import Deployment, DeploymentRequest
from evaluation import services as evaluation
from evaluation.models import Evaluation
from projects.models import Project
from training import services as training
from training.models import Adapter, BaseModelVersion, Run

BASE_FOLDER = "tiny-help-desk"
FIRST_TRY = {"method": "sft", "rank": 8, "alpha": 16, "learning_rate": 5e-4, "epochs": 1, "max_length": 128}
SECOND_TRY = {"method": "sft", "rank": 16, "alpha": 32, "learning_rate": 1e-3, "epochs": 3, "max_length": 128}


@dataclass(frozen=True)
class Taught:
    """What both tries learn from, and what they are looked at with."""

    base: BaseModelVersion
    version: DatasetVersion
    validation: DatasetVersion


@dataclass
class Made:
    """What the story leaves behind."""

    project: Project
    evaluation: Evaluation
    deployment: Deployment


def tell(project: Project, people: People) -> Made:
    base = register(project, people)
    sets = bring_data(project, people)
    golden, retention = sets["golden"], sets["retention"]
    taught = Taught(base, clean_up(sets["training"], golden, people), sets["validation"])
    first = train(project, people, "First try: one epoch, rank 8", taught, FIRST_TRY)
    judge(first, golden, retention, people)
    second = train(project, people, "Second try: rank 16, three epochs", taught, SECOND_TRY)
    verdict = judge(second, golden, retention, people)
    return Made(project, verdict, ship(project, second, verdict, people))


def register(project: Project, people: People) -> BaseModelVersion:
    step("Registering the base model")
    base = training.register_base(project, by=people.engineer, name="Tiny help desk", source="local", path=BASE_FOLDER)
    wait_for(base)
    say(f"fingerprint {base.fingerprint[:8]}, {base.parameters:,} parameters")
    return base


def upload(dataset: Dataset, people: People, name: str, content: bytes) -> DatasetVersion:
    file = SimpleUploadedFile(name, content, content_type="application/x-ndjson")
    arrived = datasets.accept_upload(dataset, by=people.engineer, file=file)
    wait_for(arrived)
    say(f"{arrived.detected_format}: {arrived.rows_good} good rows, {arrived.rows_bad} bad")
    assert arrived.version is not None
    return arrived.version


def bring_data(project: Project, people: People) -> dict[str, DatasetVersion]:
    step("Uploading a golden set, a retention set, rows for validation and the training data, faults included")

    def version(name: str, purpose: str, about: str, content: bytes) -> DatasetVersion:
        dataset = datasets.create_dataset(project, by=people.engineer, name=name, purpose=purpose, description=about)
        return upload(dataset, people, f"{name.lower().replace(' ', '-')}.jsonl", content)

    brought = {
        "golden": version("Routing golden set", "golden", "Tickets nobody trains on.", data.golden_file()),
        "retention": version("General help desk", "retention", "What must not be forgotten.", data.retention_file()),
        "validation": version(
            "Routing validation", "training", "Tickets whose loss is watched during a run.", data.validation_file()
        ),
        "training": version(
            "Ticket routing", "training", "Tickets and where they belong, as JSON.", data.training_file()
        ),
    }
    for finding in brought["training"].findings.all():
        say(f"finding: {finding.code} in {finding.count} rows ({finding.severity})")
    return brought


def clean_up(raw: DatasetVersion, golden: DatasetVersion, people: People) -> DatasetVersion:
    step("Cleaning: duplicates, leaked golden rows and a secret go")
    steps = [
        {"op": "dedupe"},
        {"op": "drop_overlap", "golden": [golden.pk]},
        {"op": "mask_secrets"},
    ]
    build = wait_for(datasets.clean_version(raw, by=people.engineer, steps=steps))
    say(f"{raw.rows} rows became {build.version.rows}")
    return build.version


def train(project: Project, people: People, name: str, taught: Taught, recipe: dict[str, Any]) -> Adapter:
    step(f"Training: {name}")
    run = training.create_run(
        project,
        by=people.engineer,
        name=name,
        base=taught.base,
        version=taught.version,
        validation=taught.validation,
        recipe=recipe,
    )
    for version in (taught.validation, taught.version):
        counts = training.measure_tokens(version, by=people.engineer, base=taught.base, max_length=recipe["max_length"])
        wait_for(counts)
    run = training.start_run(run, by=people.engineer)
    wait_for(run, show=lambda r: f"{r.state} step {r.step} of {r.total_steps or '?'}")
    return Run.objects.get(pk=run.pk).adapter


def judge(adapter: Adapter, golden: DatasetVersion, retention: DatasetVersion, people: People) -> Evaluation:
    step(f"Evaluating {adapter} against its base")
    verdict = evaluation.start_evaluation(adapter, by=people.engineer, golden=golden, retention=retention)
    wait_for(verdict)
    primary = verdict.summary["graders"]["exact_match"]
    say(f"exact match: base {primary['base']:.1%}, adapter {primary['adapter']:.1%}")
    say(f"interval of the difference: {primary['low']:+.1%} to {primary['high']:+.1%}")
    say(f"retention loss: {verdict.summary['retention']['change_percent']:+.1f} %")
    return verdict


def ship(project: Project, adapter: Adapter, verdict: Evaluation, people: People) -> Deployment:
    step("Asking for deployment, reviewing it as the second person, deploying")
    slot = deployments.create_slot(
        project, by=people.owner, name="Staging", description="What the help desk's test tenant is served from."
    )
    request = deployments.request_deployment(
        project,
        by=people.engineer,
        slot=slot,
        adapter=adapter,
        evaluation=verdict,
        message="Routes tickets as JSON; the general chats stayed as they were.",
    )
    deployments.comment(request, by=people.reviewer, body="How many examples teach the urgent priority?")
    deployments.comment(request, by=people.engineer, body="About a quarter of them; the label chart shows it.")
    decide(request, people)
    deployment = wait_for(deployments.deploy_request(request, by=people.engineer))
    say(f"live in {slot}: {deployment.adapter} {adapter.digest[:8]}")
    return deployment


def decide(request: DeploymentRequest, people: People) -> None:
    """The second person looks at the evidence and approves it; a gate that fails stops the demo."""
    request.refresh_from_db()
    try:
        deployments.approve(
            request, by=people.reviewer, digest=request.digest, body="Better with a clear interval.", session=True
        )
    except Exception as refused:
        raise DemoFailed(f"the request was not approved: {refused}") from refused
    say(f"approved by {people.reviewer} on evidence {request.digest[:8]}")
