"""A project with a lineage of so many nodes, shaped like a team's: few bases and data, sweeps, many evaluations."""

import random
import time
from typing import Any

SHARES = {"base": 0.002, "version": 0.03, "run": 0.30, "adapter": 0.27, "evaluation": 0.33, "request": 0.034}
BATCH = 500
SCORE = {
    "base": 0.4, "adapter": 0.5, "difference": 0.1, "low": 0.02, "high": 0.18, "gains": 9, "losses": 4, "n": 60,
}  # fmt: skip


def fill(nodes: int, seed: int = 5) -> tuple[Any, Any]:
    """The project and its owner; deployments make up what the shares leave."""
    from projects.domain.permissions import Role
    from projects.models import Membership, Project, User

    rng = random.Random(seed)
    project = Project.objects.create(name="Long lineage", slug=f"long-lineage-{time.time_ns()}")
    owner = User.objects.create_user(f"{project.slug}@example.org", "a long password")
    Membership.objects.create(user=owner, project=project, role=Role.OWNER.value)
    counts = {kind: max(2, round(nodes * share)) for kind, share in SHARES.items()}
    bases = _bases(project, owner, counts["base"])
    training, golden = _versions(project, owner, counts["version"], rng)
    adapters = _adapters(project, owner, bases, training, counts, rng)
    evaluations = _evaluations(project, owner, adapters, golden, counts["evaluation"], rng)
    _deployments(project, owner, evaluations, counts["request"], nodes - sum(counts.values()), rng)
    return project, owner


def _bases(project: Any, owner: Any, number: int) -> list[Any]:
    from training.models import BaseModelVersion

    rows = [
        BaseModelVersion(
            project=project, name=f"base {n}", source="local", path=f"base-{n}", state="succeeded",
            fingerprint=f"{project.pk:032x}{n:032x}", registered_by=owner,
        )
        for n in range(number)
    ]  # fmt: skip
    return BaseModelVersion.objects.bulk_create(rows, batch_size=BATCH)


def _versions(project: Any, owner: Any, number: int, rng: random.Random) -> tuple[list[Any], list[Any]]:
    """Chains of versions of a few datasets; a tenth of them are golden sets."""
    from datasets_app.models import Dataset, DatasetVersion

    sets = [
        Dataset.objects.create(
            project=project, name=f"data {n}", purpose="golden" if n % 10 == 0 else "training", created_by=owner
        )
        for n in range(max(2, number // 12))
    ]
    made: dict[int, list[Any]] = {one.pk: [] for one in sets}
    for n in range(number):
        chosen = sets[n] if n < len(sets) else rng.choice(sets)
        made[chosen.pk].append(
            DatasetVersion(
                dataset=chosen,
                number=len(made[chosen.pk]) + 1,
                content_hash=f"{project.pk:032x}{n:032x}",
                rows=1000,
                size_bytes=10**6,
                key=f"v/{n}",
                kind="sft",
                source_format="openai-chat",
                created_by=owner,
            )
        )
    rows = DatasetVersion.every.bulk_create([one for chain in made.values() for one in chain], batch_size=BATCH)
    through = DatasetVersion.parents.through
    chains = [(chain[i - 1], chain[i]) for chain in made.values() for i in range(1, len(chain))]
    through.objects.bulk_create(
        [through(from_datasetversion=child, to_datasetversion=parent) for parent, child in chains], batch_size=BATCH
    )
    return [one for one in rows if one.dataset.purpose == "training"], [
        r for r in rows if r.dataset.purpose == "golden"
    ]


def _adapters(
    project: Any, owner: Any, bases: list[Any], versions: list[Any], counts: dict[str, int], rng: random.Random
) -> list[Any]:
    """Runs in waves: a third of a later wave goes on from an adapter of an earlier one."""
    from training.models import Adapter, Run

    adapters: list[Any] = []
    runs_left, adapters_left, wave = counts["run"], counts["adapter"], 0
    size = max(1, counts["run"] // 8)
    while runs_left > 0:
        taken = min(size, runs_left)
        runs = Run.objects.bulk_create(
            [_run(project, owner, wave * size + n, bases, versions, adapters, rng) for n in range(taken)],
            batch_size=BATCH,
        )
        rows = [_adapter(project, run, len(adapters) + n) for n, run in enumerate(runs[: max(0, adapters_left)])]
        adapters += Adapter.objects.bulk_create(rows, batch_size=BATCH)
        runs_left, adapters_left, wave = runs_left - taken, adapters_left - len(rows), wave + 1
    return adapters


def _run(
    project: Any, owner: Any, n: int, bases: list[Any], versions: list[Any], adapters: list[Any], rng: random.Random
) -> Any:
    from training.models import Run

    parent = rng.choice(adapters) if adapters and rng.random() < 1 / 3 else None
    spec = {f"part {part}": "x" * 60 for part in range(40)}
    return Run(
        project=project, name=f"router {n}", method="sft", base=parent.base if parent else rng.choice(bases),
        dataset_version=rng.choice(versions), parent_adapter=parent, recipe={"seed": n, "rank": 16}, spec=spec,
        state="succeeded", created_by=owner, started_by=owner,
    )  # fmt: skip


def _adapter(project: Any, run: Any, n: int) -> Any:
    from training.models import Adapter

    return Adapter(
        project=project, run=run, name=f"router-{n}", base=run.base, dataset_version=run.dataset_version,
        key=f"adapters/{project.pk}/{n}", manifest={"files": {}}, digest=f"{n:064x}", rank=16, alpha=32, size_bytes=1,
    )  # fmt: skip


def _evaluations(
    project: Any, owner: Any, adapters: list[Any], golden: list[Any], number: int, rng: random.Random
) -> list[Any]:
    from evaluation.models import Evaluation

    def one(n: int) -> Any:
        adapter = adapters[n % len(adapters)]
        return Evaluation(
            project=project, adapter=adapter, base=adapter.base, golden=rng.choice(golden), graders=[],
            settings={"primary": "exact_match"},
            summary={"n": 60, "primary": "exact_match", "graders": {"exact_match": SCORE}}, state="succeeded",
            created_by=owner,
        )  # fmt: skip

    return Evaluation.objects.bulk_create([one(n) for n in range(number)], batch_size=BATCH)


def _deployments(
    project: Any, owner: Any, evaluations: list[Any], requests: int, number: int, rng: random.Random
) -> None:
    """The last in each slot is live."""
    from django.utils import timezone

    from deployments.models import Deployment, DeploymentRequest, Slot

    slots = [
        Slot.objects.create(project=project, name=f"slot {n}", target=f"slot-{n}", created_by=owner) for n in range(12)
    ]
    asked = DeploymentRequest.objects.bulk_create(
        [
            DeploymentRequest(
                project=project, slot=slots[n % len(slots)], adapter=evaluation.adapter, evaluation=evaluation,
                requested_by=owner, digest=f"{n:064x}", state="withdrawn",
            )
            for n, evaluation in enumerate(rng.sample(evaluations, requests))
        ],
        batch_size=BATCH,
    )  # fmt: skip
    now = timezone.now()
    chosen = [asked[n % len(asked)] for n in range(number)]
    last = {request.slot_id: n for n, request in enumerate(chosen)}
    Deployment.objects.bulk_create(
        [
            Deployment(
                project=project, slot=request.slot, request=request, adapter=request.adapter, state="succeeded",
                manifest={"digest": f"{n:064x}"}, live=last[request.slot_id] == n, deployed_by=owner, verified_at=now,
            )
            for n, request in enumerate(chosen)
        ],
        batch_size=BATCH,
    )  # fmt: skip
