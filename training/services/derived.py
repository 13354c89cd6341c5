"""What people do about models of an adapter: have one made, stop that, try again, remove it."""

import shutil
from decimal import Decimal

from django.db import transaction

from projects import artefacts, budgeting, leases, lineage, transitions, withdrawals
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import ACTIVE, JobState
from projects.models import User
from training import selectors
from training.domain import money
from training.domain.derived import Kind
from training.models import Adapter, DerivedModel


@requires(Permission.ADAPTER_DERIVE)
@transaction.atomic
def make_derived(adapter: Adapter, *, by: User, kind: str, budget_reason: str = "") -> DerivedModel:
    """Queue the making of one model of an adapter: merged, int8 or int4. There is one of each kind at most.

    Its P90 is held; 409 `over_budget` where the month has not that much left and no reason is given.
    """
    if kind not in {one.value for one in Kind}:
        raise Invalid(f"There is no kind “{kind[:40]}”.", code="unknown_kind", field="kind")
    Adapter.objects.select_for_update(no_key=True).get(pk=adapter.pk)  # of two who ask at once the second waits here
    withdrawals.refuse_stale(adapter.project, f"adapter:{adapter.pk}", f"base:{adapter.base_id}")
    selectors.refuse_unusable(adapter.base)
    row = DerivedModel.objects.filter(adapter=adapter, kind=kind).first()
    if row is not None:
        return _again(row, by=by, budget_reason=budget_reason)
    row = DerivedModel.objects.create(project=adapter.project, adapter=adapter, kind=kind, created_by=by)
    transitions.record(row, "derivedmodel.created", actor=by.email, kind=kind, digest_of_adapter=adapter.digest)
    return _queue(row, by=by, budget_reason=budget_reason)


def _again(row: DerivedModel, *, by: User, budget_reason: str) -> DerivedModel:
    if row.is_ready:
        raise Refused(f"{row} is made already. Delete it first to have it made anew.", code="already_made")
    if row.is_active or row.state == JobState.HELD:
        raise Refused(f"{row} is being made already.", code="already_making")
    return _queue(row, by=by, budget_reason=budget_reason)


def _queue(row: DerivedModel, *, by: User, budget_reason: str) -> DerivedModel:
    projection = selectors.derive_projection(row.adapter, row.read_kind)
    amount: Decimal | None = money.p90(projection)
    budgeting.queue_or_ask(row, by=by, amount=amount, reason=budget_reason, projection=projection)
    return row


@requires(Permission.ADAPTER_DERIVE)
def cancel_derived(row: DerivedModel, *, by: User, reason: str = "") -> DerivedModel:
    """Stop a waiting one at once and one at work within seconds."""
    if not budgeting.cancel_held(row, by=by, reason=reason):
        leases.request_cancel(row, actor=by.email, reason=reason)
    return row


@requires(Permission.ADAPTER_DERIVE)
@transaction.atomic
def retry_derived(row: DerivedModel, *, by: User, budget_reason: str = "") -> DerivedModel:
    """A new attempt of one that failed or was cancelled; weight files that are whole are not written again."""
    selectors.refuse_unusable(row.adapter.base)
    withdrawals.refuse_stale(row.project, f"adapter:{row.adapter_id}", f"base:{row.adapter.base_id}")
    return _again(row, by=by, budget_reason=budget_reason)


@requires(Permission.ADAPTER_DELETE)
@transaction.atomic
def delete_derived(row: DerivedModel, *, by: User) -> None:
    """Remove a model with its bytes and what was measured of it; the audit log and the ledger keep what was."""
    row = DerivedModel.objects.select_for_update().get(pk=row.pk)
    if row.is_active or row.state == JobState.HELD:
        raise Refused(f"{row} is being made. Cancel that first.", code="still_running")
    node = f"{row.read_kind.node}:{row.pk}"
    below = [one for found in lineage.impact(row.project, node).by_kind.values() for one in found]
    if any(one.state in {state.value for state in ACTIVE} for one in below):
        raise Refused(f"{row} is being evaluated. Wait for that, or cancel it.", code="has_descendants")
    told = {"kind": row.kind, "digest": row.digest, "size_bytes": row.size_bytes, "evaluations": len(below)}
    transitions.record(row, "derivedmodel.deleted", actor=by.email, reason="", **told)
    key, parts = row.key, row.parts_dir
    row.delete()
    transaction.on_commit(lambda: shutil.rmtree(parts, ignore_errors=True))
    if key:
        transaction.on_commit(lambda: artefacts.delete(key))
