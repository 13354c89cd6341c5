"""Counting a dataset in tokens of a base: what every projection and every decision about cut rows rests on."""

from django.db import transaction

from datasets_app.models import DatasetVersion
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import User
from training.domain import recipe as recipes
from training.models import BaseModelVersion, TokenProfile

AGAIN = frozenset({JobState.DRAFT, JobState.FAILED, JobState.CANCELLED})


@requires(Permission.RUN_START)
def measure_tokens(version: DatasetVersion, *, by: User, base: BaseModelVersion, max_length: int) -> TokenProfile:
    """The profile of a version under a base and a limit; counted by a worker the first time it is asked for."""
    if base.project_id != version.project.pk:
        raise Invalid("There is no such base model in this project.", code="not_found", field="base")
    if not base.is_ready:
        raise Refused(f"The base model {base} is not ready yet.", code="base_not_ready", field="base")
    limit = recipes.check(recipes.KNOB["max_length"], max_length)
    return ensure_profile(version, base, limit, by=by)


@transaction.atomic
def ensure_profile(version: DatasetVersion, base: BaseModelVersion, max_length: int, *, by: User) -> TokenProfile:
    """One row for each question; a failed count is tried again when somebody asks again."""
    profile, _ = TokenProfile.objects.get_or_create(
        version=version,
        base=base,
        max_length=max_length,
        defaults={"project": version.project, "asked_by": by},
    )
    if JobState(profile.state) in AGAIN:
        leases.queue_job(profile, actor=by.email)
    return profile
