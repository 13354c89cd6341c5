"""What people do about a base that is not the one an adapter was trained on: probe the pair, and answer for it."""

from django.db import transaction

from datasets_app.models import DatasetVersion
from evaluation import selectors
from evaluation.models import Probe
from evaluation.services.evaluations import check_version
from projects import leases, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import ACTIVE
from projects.models import User
from training import selectors as training
from training.models import Adapter, BaseModelVersion

PROMPTS, FEWEST, MOST = 64, 8, 1_000
RELOADS = 2


@requires(Permission.EVALUATION_START)
@transaction.atomic
def probe_pair(
    adapter: Adapter,
    *,
    by: User,
    base: BaseModelVersion,
    golden: DatasetVersion,
    limit: int | None = None,
    seed: int = 0,
) -> Probe:
    """Queue the measurement of what an adapter says on another version of its base."""
    _check_base(adapter, base)
    check_version(adapter, golden, "golden", "golden set")
    training.refuse_unusable(adapter.base)  # both are needed
    training.refuse_unusable(base)
    found = training.structure(adapter, base)
    if not found.may_be_probed:
        raise Refused(
            f"{adapter} cannot be loaded on {base}: {found.reasons[0].text} There is nothing to measure.",
            code="base_incompatible",
            field="base",
        )
    _check_alone(adapter, base)
    asked = limit or PROMPTS
    if not FEWEST <= asked <= MOST:
        raise Invalid(f"Between {FEWEST} and {MOST:,} prompts.", code="out_of_range", field="limit")
    if not selectors.questions(golden, limit=asked, seed=seed):
        raise Invalid(
            f"{golden} has no row with a question and an expected answer.", code="golden_empty", field="golden"
        )
    probe = Probe.objects.create(
        project=adapter.project,
        adapter=adapter,
        base=base,
        golden=golden,
        settings={"limit": asked, "seed": seed, "reloads": RELOADS},
        created_by=by,
    )
    transitions.record(probe, "probe.created", actor=by.email)
    leases.queue_job(probe, actor=by.email)
    return probe


@requires(Permission.EVALUATION_START)
def cancel_probe(probe: Probe, *, by: User, reason: str = "") -> Probe:
    leases.request_cancel(probe, actor=by.email, reason=reason)
    return probe


@requires(Permission.EVALUATION_START)
@transaction.atomic
def retry_probe(probe: Probe, *, by: User) -> Probe:
    """A new attempt of a failed or cancelled probe, with the settings it had."""
    _check_alone(probe.adapter, probe.base)
    leases.queue_job(probe, actor=by.email)
    return probe


def _check_alone(adapter: Adapter, base: BaseModelVersion) -> None:
    """Of two who ask at the same time the second waits here, and then sees what the first has queued."""
    Adapter.objects.select_for_update(no_key=True).get(pk=adapter.pk)
    if Probe.objects.filter(adapter=adapter, base=base, state__in=ACTIVE).exists():
        raise Refused("This pair is being probed already. Wait for its result.", code="already_probing")


def _check_base(adapter: Adapter, base: BaseModelVersion) -> None:
    if base.project_id != adapter.project_id:
        raise Invalid("There is no such base model in this project.", code="not_found", field="base")
    if not base.is_ready:
        training.refuse_unusable(base)
