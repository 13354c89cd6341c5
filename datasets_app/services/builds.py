"""Making versions by recipes: the checks, the build, and the proposal where a second person has to agree."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from datasets_app import ingest, selectors
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import BadRecipe, Op, Step, read_steps
from datasets_app.models import Build, Dataset, DatasetVersion, Proposal, Stage, Upload
from projects import leases
from projects.domain.errors import Invalid, Refused
from projects.domain.states import JobState
from projects.models import User
from projects.transitions import record

ACTIVE = [JobState.QUEUED, JobState.RUNNING]


@transaction.atomic
def queue_build(
    dataset: Dataset,
    *,
    by: User,
    steps: list[dict[str, Any]],
    source: DatasetVersion | None = None,
    merged: Sequence[DatasetVersion] = (),
    staged: Iterable[Upload] = (),
    title: str = "",
    reason: str = "",
) -> Build:
    """Queue a version of `dataset` by steps that were checked. Whoever calls has asked for the permission."""
    build = Build.objects.create(project=dataset.project, dataset=dataset, source=source, steps=steps, created_by=by)
    build.merged.set(merged)
    build.staged.set(staged)
    if ingest.stage_for(dataset) == Stage.PROPOSED:
        Proposal.objects.create(
            project=dataset.project,
            dataset=dataset,
            title=" ".join(title.split())[:200] or title_of(steps),
            reason=reason.strip()[:4000],
            base=selectors.latest_version(dataset),
            build=build,
            proposed_by=by,
        )
    record(build, "build.created", actor=by.email, reason=reason[:2000], steps=[shortened(step) for step in steps])
    leases.queue_job(build, actor=by.email)
    return build


def checked_steps(version: DatasetVersion, steps: object) -> list[Step]:
    """The recipe, if it can be followed on this version; what it names must be of the same project."""
    recipe = readable(steps)
    if version.stage != Stage.RELEASED:
        raise Refused(
            f"{version} is only {version.get_stage_display().lower()}. Build on a released version, or wait until a "
            "second person has merged it.",
            code="not_released",
        )
    refuse_foreign_golden(version, recipe)
    merged_versions(version, recipe)
    for step in recipe:
        numbers = step.args.get("indices") or [edit["row"] for edit in step.args.get("edits", [])]
        if numbers and max(numbers) >= version.rows:
            raise Invalid(f"{version} has no row {max(numbers)}.", code="bad_recipe", field="steps")
    return recipe


def readable(steps: object) -> list[Step]:
    try:
        return read_steps(steps)
    except BadRecipe as bad:
        raise Invalid(str(bad), code="bad_recipe", field="steps") from bad


def refuse_foreign_golden(version: DatasetVersion, steps: list[Step]) -> None:
    """Golden sets are named by id, so they are looked up inside the project of the version."""
    wanted = {pk for step in steps if step.op == Op.DROP_OVERLAP for pk in step.golden}
    known = DatasetVersion.objects.filter(
        pk__in=wanted, dataset__project=version.project, dataset__purpose=Purpose.GOLDEN
    ).count()
    if known != len(wanted):
        raise Invalid("A golden version of this recipe does not exist in this project.", field="steps")


def merged_versions(version: DatasetVersion, steps: list[Step]) -> list[DatasetVersion]:
    """The further sources of a merge, in the order of the recipe: released, of this project and of the same kind."""
    wanted = list(steps[0].args["versions"]) if steps[0].op == Op.MERGE else []
    known = selectors.usable_versions(version.project).exclude(pk=version.pk).in_bulk(wanted)
    for pk in wanted:
        if pk not in known:
            raise Invalid(f"There is no other released version with the number {pk} in this project.", field="steps")
        if known[pk].kind != version.kind:
            raise Invalid(
                f"{known[pk]} holds {known[pk].get_kind_display().lower()} rows and {version} "
                f"{version.get_kind_display().lower()} rows. A version holds one kind.",
                code="mixed_kinds",
                field="steps",
            )
    golden = [one for one in known.values() if one.dataset.purpose != Purpose.TRAINING]
    if golden and version.dataset.purpose == Purpose.TRAINING:
        raise Refused(
            f"{golden[0]} is held back for measuring. Merged into training data it would measure nothing any more.",
            code="golden_into_training",
        )
    return [known[pk] for pk in wanted]


def refuse_second_build(version: DatasetVersion) -> None:
    if version.builds.filter(state__in=ACTIVE).exists():
        raise Refused("This version is already being worked on. Wait for the result.", code="already_cleaning")


def title_of(steps: list[dict[str, Any]]) -> str:
    words = selectors.recipe_steps(steps)
    more = f" and {len(words) - 1} more step{'s' if len(words) > 2 else ''}" if len(words) > 1 else ""
    return f"{words[0]}{more}"[:200]


def shortened(step: dict[str, Any]) -> dict[str, Any]:
    """A step as the audit log keeps it: long lists by their length."""
    return {
        name: f"{len(value)} of them" if isinstance(value, list) and len(value) > 50 else value
        for name, value in step.items()
    }
