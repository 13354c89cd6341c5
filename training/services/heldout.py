"""Validation data of a run: what it must be, and what is found out about it before a start."""

from datasets_app import services as datasets
from datasets_app.models import DatasetVersion
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import Project, User
from training import selectors
from training.domain import looks
from training.domain.recipe import Recipe
from training.models import BaseModelVersion, Run, TokenProfile
from training.services.tokens import ensure_profile

FIELD = "validation_version"


def check(project: Project, validation: DatasetVersion | None, version: DatasetVersion, recipe: Recipe) -> None:
    """Of this project, released, meant for training, other rows than those that are learnt from, and of their kind."""
    if validation is None:
        return
    if validation.project.pk != project.pk:
        raise Invalid("There is no DatasetVersion of that number in this project.", code="not_found", field=FIELD)
    datasets.refuse_unreleased(validation, FIELD)
    if validation.dataset.purpose != "training":
        raise Invalid(
            f"{validation} is a {validation.dataset.get_purpose_display().lower()}. Choosing settings by its loss "
            "would spend it: choose a training set, such as the part that a split has put aside.",
            code="wrong_purpose",
            field=FIELD,
        )
    if validation.pk == version.pk or validation.content_hash == version.content_hash:
        raise Invalid(
            "These are the rows that the run learns from. Split them and choose the smaller part here.",
            code="same_as_training",
            field=FIELD,
        )
    if not selectors.fits_method(validation, recipe.method):
        raise Invalid(
            f"{validation} holds {validation.get_kind_display().lower()} rows, which {recipe.method.upper()} has no "
            "loss for. Choose data of the kind that is trained on.",
            code="wrong_kind",
            field=FIELD,
        )


@requires(Permission.RUN_START)
def prepare_validation(
    version: DatasetVersion, *, by: User, validation: DatasetVersion, base: BaseModelVersion, recipe: Recipe
) -> TokenProfile | None:
    """The counts of validation data; a worker counts them, and the rows it shares with `version`, where nobody has."""
    check(version.project, validation, version, recipe)
    return prepare(version, validation, base, by=by)


def prepare(
    version: DatasetVersion, validation: DatasetVersion, base: BaseModelVersion, *, by: User, again: bool = False
) -> TokenProfile | None:
    """Begin to find out how many tokens it has and which rows it shares; no counts while the base is not ready.

    `again`: shared rows that could not be counted are counted once more.
    """
    datasets.count_shared_soon(version, validation, actor=by.email, again=again)
    return ensure_profile(validation, base, by=by) if base.is_ready else None


def counted(run: Run, recipe: Recipe) -> TokenProfile | None:
    """The counts, or a refusal that says to wait; None where nothing is held out."""
    if run.validation_version is None:
        return None
    profile = selectors.profile_for(run.validation_version, run.base)
    if profile is not None and profile.state == JobState.FAILED:
        raise Refused(
            f"The validation data could not be counted in tokens: {profile.error_message}", code=profile.error_code,
            field=FIELD,
        )  # fmt: skip
    if profile is None or not profile.is_ready:
        raise Refused(
            "The validation data is still being counted in tokens of this base. Start the run when that is done.",
            code="tokens_not_counted",
        )
    looks.check_rows(selectors.look(profile, recipe).rows, str(run.validation_version), recipe.max_length)
    return profile
