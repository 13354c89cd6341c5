"""What people may do with versions: make the next one, split it, go back, save and follow recipes."""

from typing import Any

from django.db import IntegrityError, transaction

from datasets_app import ingest, selectors
from datasets_app.domain.recipes import Op, portable
from datasets_app.models import Build, Dataset, DatasetVersion, Preview, SavedRecipe, Stage
from datasets_app.services.builds import (
    checked_steps,
    merged_versions,
    queue_build,
    readable,
    refuse_second_build,
)
from datasets_app.services.datasets import create_dataset
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import Project, User
from projects.transitions import record

Steps = list[dict[str, Any]]


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def clean_version(version: DatasetVersion, *, by: User, steps: Steps, title: str = "", reason: str = "") -> Build:
    """Queue a new version made by following the steps; of a split, the build of its first part."""
    recipe = checked_steps(version, steps)
    refuse_second_build(version)
    if recipe[-1].op == Op.SPLIT and "part" not in recipe[-1].args:
        return _split(version, by, [step.as_dict() for step in recipe], title, reason)[0]
    return queue_build(
        version.dataset,
        by=by,
        source=version,
        merged=merged_versions(version, recipe),
        steps=[step.as_dict() for step in recipe],
        title=title,
        reason=reason,
    )


def _split(version: DatasetVersion, by: User, steps: Steps, title: str, reason: str) -> list[Build]:
    """One build for each part: all look at the same rows and draw the same lines, so parts never share a row."""
    split = steps[-1]
    homes = [_home(version, by, part) for part in split["parts"]]
    merged = merged_versions(version, readable(steps))
    return [
        queue_build(
            home,
            by=by,
            source=version,
            merged=merged,
            steps=[*steps[:-1], {**split, "part": part["name"]}],
            title=title,
            reason=reason,
        )
        for home, part in zip(homes, split["parts"], strict=True)
    ]


def _home(version: DatasetVersion, by: User, part: dict[str, Any]) -> Dataset:
    """The dataset that a part goes into, made when there is none of its name."""
    home = Dataset.objects.filter(project=version.project, name=part["name"]).first()
    if home is None:
        return create_dataset(version.project, by=by, name=part["name"], purpose=part["purpose"])
    if home.purpose != part["purpose"]:
        raise Invalid(
            f"“{home.name}” is a {home.get_purpose_display().lower()} dataset already. Choose another name for this "
            "part, or the same purpose.",
            code="wrong_purpose",
            field="steps",
        )
    return home


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def restore_version(version: DatasetVersion, *, by: User, reason: str = "") -> Build:
    """Go back: a new version of the same dataset with the rows of an old one. Nothing is taken away."""
    if version.stage != Stage.RELEASED:
        raise Refused(f"{version} was never released, so there is nothing to go back to.", code="not_released")
    if selectors.latest_version(version.dataset) == version:
        raise Refused(f"{version} is the newest version already.", code="already_newest")
    refuse_second_build(version)
    return queue_build(
        version.dataset,
        by=by,
        source=version,
        steps=[{"op": Op.RESTORE.value}],
        title=f"Go back to v{version.number}",
        reason=reason,
    )


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def preview_recipe(version: DatasetVersion, *, by: User, steps: Steps) -> Preview:
    """Follow the steps without keeping anything; the last preview of the same person makes room."""
    recipe = checked_steps(version, steps)
    for old in Preview.objects.filter(source=version, created_by=by, state="queued"):
        leases.request_cancel(old, actor=by.email)
    preview = Preview.objects.create(
        project=version.project, source=version, steps=[step.as_dict() for step in recipe], created_by=by
    )
    leases.queue_job(preview, actor=by.email, priority=5)
    return preview


@requires(Permission.DATASET_EDIT)
def save_recipe(project: Project, *, by: User, name: str, steps: Steps) -> SavedRecipe:
    """Keep the steps under a name; what names single rows of one version is left out."""
    name = " ".join(name.split())
    if not name or len(name) > 120:
        raise Invalid("A recipe needs a name of at most 120 characters.", field="name")
    kept = portable([step.as_dict() for step in readable(steps)])
    if not kept:
        raise Refused(
            "This recipe only names single rows of one version, so it means nothing elsewhere.", code="not_portable"
        )
    try:
        with transaction.atomic():
            recipe = SavedRecipe.objects.create(project=project, name=name, steps=kept, created_by=by)
            record(recipe, "recipe.saved", actor=by.email, steps=len(kept))
    except IntegrityError as error:
        raise Invalid(f"This project already has a recipe called “{name}”.", code="name_taken", field="name") from error
    return recipe


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def delete_recipe(recipe: SavedRecipe, *, by: User) -> None:
    """The name goes; versions keep the steps that made them."""
    record(recipe, "recipe.deleted", actor=by.email)
    recipe.delete()


def ensure_overlaps(version: DatasetVersion) -> None:
    """Refuse to go on until the version has been compared with every golden set; the comparison is on its way."""
    missing = list(selectors.missing_comparisons(version)[:3])
    if not missing:
        return
    compared = selectors.golden_comparisons(version)
    failed = compared.filter(state="failed").order_by("-pk").first()
    if failed is not None and not compared.filter(pk__gt=failed.pk).exists():
        raise Refused(
            f"{version} could not be compared with {missing[0]}: {failed.error_message} Compare again on the page of "
            "the version.",
            code="comparison_failed",
        )
    names = ", ".join(map(str, missing))
    raise Refused(
        f"{version} is still being compared with {names}, so it is not known whether it holds golden rows. "
        "Try again in a minute.",
        code="not_compared",
    )


@requires(Permission.DATASET_EDIT)
def compare_version(version: DatasetVersion, *, by: User) -> DatasetVersion:
    """Queue what is missing of the comparisons with golden sets."""
    if ingest.queue_comparison(version, actor=by.email) is None:
        raise Refused(f"{version} has been compared with every golden set.", code="already_compared")
    return version
