"""What people may do with versions: make the next one."""

from typing import Any

from django.db import transaction

from datasets_app import ingest
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import BadRecipe, Op, Step, read_steps
from datasets_app.models import Build, DatasetVersion
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import record


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def clean_version(version: DatasetVersion, *, by: User, steps: list[dict[str, Any]]) -> Build:
    """Queue a new version of the same dataset, made by following the steps."""
    try:
        recipe = read_steps(steps)
    except BadRecipe as bad:
        raise Invalid(str(bad), code="bad_recipe", field="steps") from bad
    refuse_foreign_golden(version, recipe)
    if version.builds.filter(state__in=["queued", "running"]).exists():
        raise Refused("This version is already being cleaned. Wait for the result.", code="already_cleaning")
    build = Build.objects.create(
        project=version.project,
        dataset=version.dataset,
        source=version,
        steps=[step.as_dict() for step in recipe],
        created_by=by,
    )
    record(build, "build.created", actor=by.email, steps=build.steps)
    leases.queue_job(build, actor=by.email)
    return build


def ensure_overlaps(version: DatasetVersion) -> None:
    """Compare the version with every golden set it has not been compared with yet."""
    ingest.measure_overlaps(version)


def refuse_foreign_golden(version: DatasetVersion, steps: list[Step]) -> None:
    """Golden sets are named by id, so they are looked up inside the project of the version."""
    wanted = {pk for step in steps if step.op == Op.DROP_OVERLAP for pk in step.golden}
    known = DatasetVersion.objects.filter(
        pk__in=wanted, dataset__project=version.project, dataset__purpose=Purpose.GOLDEN
    ).count()
    if known != len(wanted):
        raise Invalid("A golden version of this recipe does not exist in this project.", field="steps")
