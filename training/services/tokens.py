"""Counting a dataset in tokens of a base: what every projection and every decision about cut rows rests on."""

from django.db import transaction

from datasets_app import services as datasets
from datasets_app.models import Build, DatasetVersion
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import User
from training import selectors
from training.domain import recipe as recipes
from training.domain.tokens import LOSSES
from training.models import BaseModelVersion, SeenRow, TokenProfile

AGAIN = frozenset({JobState.DRAFT, JobState.FAILED, JobState.CANCELLED})
DEFAULT_LIMIT = recipes.KNOB["max_length"].default


@requires(Permission.RUN_START)
def measure_tokens(
    version: DatasetVersion, *, by: User, base: BaseModelVersion, max_length: int = DEFAULT_LIMIT
) -> TokenProfile:
    """The counts of a version under a base, good for any limit; a worker counts the first time they are asked for."""
    _check_base(version, base)
    recipes.check(recipes.KNOB["max_length"], max_length)
    return ensure_profile(version, base, by=by)


@requires(Permission.PROJECT_VIEW)
@transaction.atomic
def show_row(version: DatasetVersion, *, by: User, base: BaseModelVersion, index: int) -> SeenRow:
    """A row as the base will see it; a worker renders it the first time it is asked for."""
    _check_base(version, base)
    if not 0 <= index < version.rows:
        raise Invalid(
            f"There is no row {index}: {version} has rows 0 to {version.rows - 1}.", code="no_such_row", field="row"
        )
    row, _ = SeenRow.objects.get_or_create(
        version=version, base=base, index=index, defaults={"project": version.project, "asked_by": by}
    )
    if JobState(row.state) in AGAIN:
        leases.queue_job(row, actor=by.email, priority=10)  # somebody is waiting in front of the page
    return row


@requires(Permission.DATASET_EDIT)
def drop_lost(
    version: DatasetVersion, *, by: User, base: BaseModelVersion, max_length: int, what: str, reason: str = ""
) -> Build:
    """Queue a version without the rows that the limit spoils under this base: `what` is a name of LOSSES."""
    _check_base(version, base)
    limit = recipes.check(recipes.KNOB["max_length"], max_length)
    profile = selectors.profile_for(version, base)
    if profile is None or not profile.is_ready:
        raise Refused("The data has not been counted in tokens of this base yet.", code="tokens_not_counted")
    if what not in LOSSES:
        raise Invalid(f"Rows can be dropped for one of {', '.join(LOSSES)}.", code="invalid_choice", field="what")
    rows = selectors.lost_rows(profile, limit, what)
    if not rows:
        raise Refused(f"Under {limit} tokens there is no such row.", code="nothing_to_drop")
    why = f"{LOSSES[what].title} at {limit} tokens of {base}"
    step = {"op": "drop_rows", "indices": rows, "reason": why[:200]}
    return datasets.clean_version(version, by=by, steps=[step], reason=reason)


@transaction.atomic
def ensure_profile(version: DatasetVersion, base: BaseModelVersion, *, by: User) -> TokenProfile:
    """One row for each question; a failed count is tried again when somebody asks again."""
    profile, _ = TokenProfile.objects.get_or_create(
        version=version, base=base, defaults={"project": version.project, "asked_by": by}
    )
    if JobState(profile.state) in AGAIN:
        leases.queue_job(profile, actor=by.email)
    return profile


def _check_base(version: DatasetVersion, base: BaseModelVersion) -> None:
    if base.project_id != version.project.pk:
        raise Invalid("There is no such base model in this project.", code="not_found", field="base")
    if not base.is_ready:
        raise Refused(f"The base model {base} is not ready yet.", code="base_not_ready", field="base")
