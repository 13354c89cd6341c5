"""A trained, evaluated adapter with real files, and requests for it, without training anything."""

import hashlib
import tempfile
from decimal import Decimal
from itertools import count
from pathlib import Path

from django.utils import timezone

from datasets_app.models import Dataset, DatasetVersion, Overlap
from deployments import services
from deployments.models import Deployment, DeploymentRequest, Slot
from evaluation.models import Evaluation, EvaluationItem
from projects import artefacts, booking
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import Project, User
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import Adapter, BaseModelVersion, Run

_n = count(1)
GOOD = {
    "n": 6,
    "base": 0.02,
    "adapter": 0.9,
    "difference": 0.88,
    "low": 0.81,
    "high": 0.94,
    "gains": 5,
    "losses": 1,
}
REASON = "Read the regressions; they are harmless."


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make_base(project: Project, by: User) -> BaseModelVersion:
    n = next(_n)
    return BaseModelVersion.objects.create(
        project=project,
        name=f"tiny-{n}",
        source="local",
        path=f"tiny-{n}",
        fingerprint=digest_of(f"base {n}"),
        licence="apache-2.0",
        state=JobState.SUCCEEDED.value,
        registered_by=by,
    )


def make_version(
    project: Project, by: User, purpose: str = "training", dataset: Dataset | None = None, rows: int = 100
) -> DatasetVersion:
    n = next(_n)
    dataset = dataset or Dataset.objects.create(project=project, name=f"{purpose} {n}", purpose=purpose, created_by=by)
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=dataset.versions.count() + 1,
        content_hash=digest_of(f"version {n}"),
        rows=rows,
        size_bytes=1000,
        key=f"versions/{n}",
        kind="text" if purpose == "retention" else "sft",
        source_format="openai-chat",
        created_by=by,
    )
    _compare(version)
    return version


def _compare(version: DatasetVersion) -> None:
    """These versions have no rows to read, so every pair is said to be compared, and clean."""
    others = DatasetVersion.objects.filter(dataset__project=version.project)
    if version.dataset.purpose == "golden":
        pairs = [(other, version) for other in others.exclude(dataset__purpose="golden")]
    else:
        pairs = [(version, other) for other in others.filter(dataset__purpose="golden")]
    for mine, golden in pairs:
        Overlap.objects.create(version=mine, golden_version=golden, exact=0, normalised=0)


def make_adapter(
    project: Project | None = None, by: User | None = None, parent: Adapter | None = None, **run_fields
) -> Adapter:
    """An adapter with its run, ledger line and three real files in the store."""
    n = next(_n)
    project = project or make_project()
    by = by or make_member(project)
    base = parent.base if parent else make_base(project, by)
    version = run_fields.pop("dataset_version", None) or make_version(project, by)
    recipe = {"seed": 7, "rank": 16, "learning_rate": 0.003}
    run = Run.objects.create(
        project=project,
        name=f"run {n}",
        method="sft",
        base=base,
        dataset_version=version,
        parent_adapter=parent,
        recipe=recipe,
        spec={
            "recipe": recipe,
            "base": {"fingerprint": base.fingerprint},
            "data": {"content_hash": version.content_hash},
            "packages": {"torch": "2.13.0"},
        },
        state=JobState.SUCCEEDED.value,
        created_by=run_fields.get("created_by", by),
        started_by=run_fields.get("started_by", by),
    )
    book_line(run, "training", Decimal("0.25"))
    return _stored(run, n, base, version)


def _stored(run: Run, n: int, base: BaseModelVersion, version: DatasetVersion) -> Adapter:
    key = f"adapters/{run.pk}/run-{run.pk}-f1"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "adapter_model.safetensors").write_bytes(f"weights {n} ".encode() * 500)
        (root / "adapter_config.json").write_text(f'{{"r": 16, "n": {n}}}')
        (root / "README.md").write_text("# Model card\n")
        manifest = artefacts.commit_directory(root, key)
    return Adapter.objects.create(
        project=run.project,
        run=run,
        name=f"router-{n}",
        base=base,
        dataset_version=version,
        key=key,
        manifest=manifest,
        digest=manifest["digest"],
        rank=16,
        alpha=32,
        size_bytes=sum(entry["size"] for entry in manifest["files"].values()),
    )


def book_line(job: Run | Evaluation, cause: str, hours: Decimal) -> None:
    now = timezone.now()
    booking.book(
        job.project,
        cause=cause,
        subject_kind=job.job_label,
        subject_id=job.pk,
        subject_label=str(job),
        outcome="succeeded",
        started_at=now,
        ended_at=now,
        quantity=hours,
        unit="GPU h",
        unit_price=job.project.gpu_hour_price,
    )


def make_evaluation(
    adapter: Adapter,
    *,
    score: dict[str, float] | None = None,
    retention_percent: float | None = 1.5,
    golden: DatasetVersion | None = None,
    leaked: int = 0,
    state: JobState = JobState.SUCCEEDED,
    rows: int = 6,
) -> Evaluation:
    """A finished evaluation with items, compared with the adapter's training data."""
    project, by = adapter.project, adapter.author
    golden = golden or make_version(project, by, "golden", rows=rows)
    retention = make_version(project, by, "retention") if retention_percent is not None else None
    evaluation = Evaluation.objects.create(
        project=project,
        adapter=adapter,
        base=adapter.base,
        golden=golden,
        retention=retention,
        graders=[{"name": "exact_match"}],
        settings={"max_new_tokens": 32, "primary": "exact_match", "limit": None, "seed": 0, "retention_limit": 0},
        summary={
            "n": rows,
            "primary": "exact_match",
            "graders": {"exact_match": GOOD | (score or {})},
            "minimum_detectable": 0.125,
            "retention": {
                "base_loss": 2.0,
                "adapter_loss": 2.03,
                "change_percent": retention_percent,
                "low": (retention_percent or 0) - 0.5,
                "high": (retention_percent or 0) + 0.5,
                "rows": 50,
                "tokens": 900,
            }
            if retention
            else None,
            "seconds": {"base": 1.0, "adapter": 1.0},
            "tokens": {"base": 10, "adapter": 10},
        },
        state=state.value,
        finished_at=timezone.now(),
        created_by=by,
    )
    for index in range(rows):
        worse = index == 0
        EvaluationItem.objects.create(
            evaluation=evaluation,
            index=index,
            row_id=f"row{index}",
            prompt=f"Ticket {index}: my invoice is wrong",
            expected="billing",
            base_output="billing" if worse else "I do not know",
            adapter_output="login" if worse else "billing",
            scores={"base": {"exact_match": float(worse)}, "adapter": {"exact_match": float(not worse)}},
            change=-1.0 if worse else 1.0,
            outcome="regression" if worse else "gain",
            place=index,
        )
    book_line(evaluation, "evaluation", Decimal("0.05"))
    if adapter.dataset_version is not None:
        Overlap.objects.update_or_create(
            version=adapter.dataset_version,
            golden_version=golden,
            defaults={"exact": leaked, "normalised": 0, "rows": []},
        )
    return evaluation


def make_slot(project: Project, name: str = "production", by: User | None = None) -> Slot:
    return services.create_slot(project, by=by or make_member(project, Role.OWNER), name=name)


def make_request(
    adapter: Adapter | None = None, slot: Slot | None = None, by: User | None = None, **fields
) -> DeploymentRequest:
    """A submitted request with good evidence; whoever asks did not train the adapter unless told so."""
    adapter = adapter or make_adapter()
    project = adapter.project
    slot = slot or Slot.objects.filter(project=project).first() or make_slot(project)
    evaluation = fields.pop("evaluation", None) or adapter.evaluations.first() or make_evaluation(adapter)
    return services.request_deployment(
        project,
        by=by or make_member(project),
        slot=slot,
        adapter=adapter,
        evaluation=evaluation,
        message=fields.pop("message", "Routes 90 % of the tickets right."),
    )


def approve(request: DeploymentRequest, by: User | None = None) -> DeploymentRequest:
    by = by or make_member(request.project, Role.REVIEWER)
    services.approve(request, by=by, digest=request.digest, body=REASON, session=True)
    request.refresh_from_db()
    return request


def make_live(adapter: Adapter | None = None, slot: Slot | None = None) -> Deployment:
    """An adapter that was requested, approved and deployed by the real child process."""
    request = approve(make_request(adapter, slot))
    deployment = services.deploy_request(request, by=request.requested_by)
    run_jobs()
    deployment.refresh_from_db()
    assert deployment.live, deployment.error_message
    return deployment
