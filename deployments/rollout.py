"""The body of a deployment job: what the child is told, and what its success makes true."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from deployments.domain.evidence import Change
from deployments.domain.states import RequestState, RolloutKind
from deployments.models import Deployment, DeploymentRequest
from deployments.selectors import evidence as gathering
from projects import artefacts
from projects.domain.errors import Refused
from projects.jobs import JobKind
from projects.transitions import move

STALE = "approval_stale"
WORKER = "worker"


def prepare(deployment: Deployment, workdir: Path) -> list[str]:
    """Look at the approval one last time, then write down what must lie in the slot."""
    if deployment.kind == RolloutKind.DEPLOY:
        _check_approval(deployment.request)
    spec = workdir / "deployment.json"
    slot = deployment.slot
    spec.write_text(
        json.dumps(
            {
                "source": _source(deployment),
                "files": deployment.manifest["files"],
                "slot_dir": str(slot.folder),
                "release": deployment.release,
                "turn": [deployment.pk, deployment.fence],
                "record": _record(deployment),
            }
        )
    )
    return [*settings.ENGINES["deployments.deployment"], str(spec)]


def _check_approval(request: DeploymentRequest) -> None:
    request.refresh_from_db()
    if request.state != RequestState.APPROVED:
        raise Refused("The request is no longer approved.", code=STALE)
    changes = gathering.changes_since(request)
    if changes:
        named = "; ".join(str(change) for change in changes[:3])
        raise Refused(f"The evidence changed after the approval. {named}.", code=STALE)


def _source(deployment: Deployment) -> str | None:
    """The adapter's own files; the child checks every byte of them, and can do without for a rollback."""
    try:
        return str(artefacts.fetch_directory(deployment.adapter.key, verify=False))
    except artefacts.ArtefactDamaged:
        return None


def _record(deployment: Deployment) -> dict[str, Any]:
    """What a server or a person finds beside the files."""
    request, adapter = deployment.request, deployment.adapter
    base = request.evaluation.base if request.evaluation else adapter.base  # what was judged is what is served
    return {
        "name": f"{deployment.slot.target}--{deployment.release}",
        "adapter": adapter.name,
        "adapter_digest": deployment.digest,
        "base": base.name,
        "base_fingerprint": base.fingerprint,
        "request": request.pk,
        "approved_by": request.decided_by.email if request.decided_by else None,
        "approved_digest": request.decided_digest,
        "files": deployment.manifest["files"],
    }


def complete(deployment: Deployment, workdir: Path, result: dict[str, Any]) -> None:
    """The child has switched the slot to verified bytes: say so, in the final transaction."""
    expected = {name: entry["sha256"] for name, entry in deployment.manifest["files"].items()}
    if result.get("files") != expected:
        raise Refused("The deployed files are not the adapter's files.", code="hash_mismatch")
    now = timezone.now()
    Deployment.objects.filter(slot=deployment.slot, live=True).exclude(pk=deployment.pk).update(
        live=False, superseded_at=now
    )
    Deployment.objects.filter(pk=deployment.pk).update(live=True, verified_at=now, superseded_at=None)
    if deployment.kind == RolloutKind.DEPLOY:
        request = DeploymentRequest.objects.get(pk=deployment.request_id)
        move(request, RequestState.DEPLOYED, actor=deployment.deployed_by.email, reason=str(deployment))


@transaction.atomic
def failed(deployment: Deployment, code: str) -> None:
    """A deployment that met other evidence than was approved takes the approval with it."""
    request = DeploymentRequest.objects.get(pk=deployment.request_id)
    if code != STALE or request.state != RequestState.APPROVED:
        return
    void(request, "The evidence changed after the approval", gathering.changes_since(request), actor=WORKER)


def void(request: DeploymentRequest, reason: str, changes: Sequence[Change], *, actor: str) -> None:
    """End what a request stood on, and keep what differed for its people to read."""
    move(
        request,
        RequestState.VOID,
        actor=actor,
        reason=reason,
        void_reason=reason,
        void_changes=[[change.label, change.before, change.after] for change in changes],
    )


KIND = JobKind(
    label="deployments.deployment",
    model=Deployment,
    queue="cpu",
    cause="deployment",
    prepare=prepare,
    complete=complete,
    failed=failed,
)
