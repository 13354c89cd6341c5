"""What a run would take: the counted data, past rates, and the projection made from both."""

from decimal import Decimal
from pathlib import Path

from django.db.models import QuerySet

from datasets_app.models import DatasetVersion
from projects.domain.states import JobState
from projects.models import Attempt, Project
from training.domain import projection as projecting
from training.domain.projection import PastRun, Projection
from training.domain.recipe import Method, Recipe
from training.models import BaseModelVersion, Run, TokenProfile
from training.selectors.tokens import token_stats

PAST_RUNS = 20


def trainable_versions(project: Project) -> QuerySet[DatasetVersion]:
    """Versions of the project's training sets, the newest first."""
    rows = DatasetVersion.objects.filter(dataset__project=project, dataset__purpose="training")
    return rows.select_related("dataset__project").order_by("-pk")


def likely_device(project: Project) -> str:
    """Where the next run will most likely be: where the last one was, else on a card if this machine has one."""
    last = Attempt.objects.filter(job_label="training.run", ended_at__isnull=False).order_by("-pk").first()
    if last is not None:
        return "cuda" if last.device.startswith("cuda") else "cpu"
    return "cuda" if Path("/dev/nvidia0").exists() else "cpu"


def past_runs(project: Project, base: BaseModelVersion, recipe: Recipe, device: str) -> list[PastRun]:
    """Measured rates of finished runs of the same method on the same kind of device, this project's only."""
    rows = (
        Run.objects.filter(project=project, state=JobState.SUCCEEDED, method=recipe.method, device__startswith=device)
        .select_related("base")
        .order_by("-pk")
    )
    return [
        PastRun(
            rate=float(run.measured.get("tokens_per_second") or 0),
            same_base=run.base.fingerprint == base.fingerprint,
            parameters=run.base.parameters,
        )
        for run in rows[:PAST_RUNS]
        if bool(run.recipe.get("packing")) == recipe.packing
    ]


def projection(project: Project, base: BaseModelVersion, profile: TokenProfile, recipe: Recipe) -> Projection:
    """Tokens, time, money and memory of a run that has not started."""
    device = likely_device(project)
    price: Decimal = project.hour_price(device)
    return projecting.project(
        token_stats(profile, recipe.max_length),
        recipe,
        base.projection_shape,
        past=past_runs(project, base, recipe, device),
        device=device,
        hour_price=price,
        currency=project.currency,
    )


def fits_method(version: DatasetVersion, method: str) -> bool:
    return (version.kind == "preference") == (method == Method.DPO)
