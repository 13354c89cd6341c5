"""Registering base-model versions."""

import re
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError

from projects import leases, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import Project, User
from training.domain.adapter_config import is_plain_name
from training.engine import places
from training.models import BaseModelVersion

REPO_ID = re.compile(r"^[\w][\w.-]{0,95}/[\w][\w.-]{0,95}$", re.ASCII)
REVISION = re.compile(r"^[\w][\w./-]{0,99}$", re.ASCII)


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def register_base(
    project: Project,
    *,
    by: User,
    source: str,
    name: str = "",
    path: str = "",
    repo_id: str = "",
    revision: str = "",
) -> BaseModelVersion:
    """Take up a base model: its files are hashed (and for the hub fetched) by a worker; ready when that is done."""
    if source == "hub":
        _check_hub(repo_id, revision)
        path = ""
    elif source == "local":
        path, repo_id, revision = _local_path(path), "", ""
    else:
        raise Invalid("A base comes from “local” or from “hub”.", code="unknown_source", field="source")
    base = BaseModelVersion.objects.create(
        project=project,
        name=_name(name, repo_id or path),
        source=source,
        repo_id=repo_id,
        revision=revision,
        path=path,
        registered_by=by,
    )
    if source == "hub":
        BaseModelVersion.objects.filter(pk=base.pk).update(path=f"bases/{base.pk}")
        base.refresh_from_db()
    transitions.record(base, "basemodelversion.created", actor=by.email, source=source, repo_id=repo_id, path=path)
    leases.queue_job(base, actor=by.email)
    return base


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def retry_base(base: BaseModelVersion, *, by: User) -> BaseModelVersion:
    """Hash (and fetch) again after a failure."""
    leases.queue_job(base, actor=by.email)
    return base


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def delete_base(base: BaseModelVersion, *, by: User) -> None:
    """Take a base off the list; refused while it is hashed or anything descends from it."""
    if base.is_active:
        raise Refused(f"{base} is still being read. Wait until that is over.", code="still_running")
    transitions.record(base, "basemodelversion.deleted", actor=by.email, fingerprint=base.fingerprint)
    try:
        base.delete()
    except ProtectedError as protected:
        count = len(protected.protected_objects)
        raise Refused(f"{count} runs or adapters stand on {base}, so it stays.", code="has_descendants") from protected


def _check_hub(repo_id: str, revision: str) -> None:
    if not REPO_ID.match(repo_id):
        raise Invalid("A hub id looks like “organisation/model”.", code="bad_repo_id", field="repo_id")
    if revision and (not REVISION.match(revision) or ".." in revision):
        raise Invalid("A revision is a commit hash, a tag or a branch.", code="bad_revision", field="revision")


def _local_path(path: str) -> str:
    """The name of a directory below the models folder; whatever leads out of it does not exist for us."""
    root = Path(settings.MODELS_DIR).resolve()
    missing = Invalid(
        "There is no such directory in the models folder. Copy the model there first.",
        code="no_such_folder",
        field="path",
    )
    if not path or "\x00" in path or len(path) > 250:
        raise missing
    try:
        place = (root / path).resolve()
    except (OSError, RuntimeError):
        raise missing from None
    if place == root or not place.is_relative_to(root) or not place.is_dir():
        raise missing
    try:
        places.check(place, root)
    except Invalid as wrong:
        raise Invalid(wrong.message, code=wrong.code, field="path") from wrong
    return place.relative_to(root).as_posix()


def _name(name: str, fallback: str) -> str:
    """How the base is called in adapters' configs: a plain name, never a path of this machine."""
    chosen = name.strip() or fallback
    if not is_plain_name(chosen):
        raise Invalid("Choose a plain name of up to 200 characters.", code="bad_name", field="name")
    return chosen
