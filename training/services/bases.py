"""Registering base-model versions."""

import re
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError

from projects import leases, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import ACTIVE
from projects.models import Host, Project, User
from training import selectors
from training.domain.adapter_config import is_plain_name
from training.engine import places
from training.models import BaseCheck, BaseModelVersion

REPO_ID = re.compile(r"^[\w][\w.-]{0,95}/[\w][\w.-]{0,95}$", re.ASCII)
REVISION = re.compile(r"^[\w][\w./-]{0,99}$", re.ASCII)
LINK = re.compile(r"^https?://[^\s<>\"']+$")
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)
TEXTS = {"licence": 100, "licence_link": 500, "terms": 4000}  # what can be written down, and how long it may be
LONGEST_REASON = 2000


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
    """Hash (and fetch) again after a failure or a stop; what was hashed on the same host is gone on with."""
    leases.queue_job(base, actor=by.email)
    return base


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def cancel_base(base: BaseModelVersion, *, by: User, reason: str = "") -> BaseModelVersion:
    """Stop reading its files. What is hashed by then is not read again when it is tried again on the same host."""
    leases.request_cancel(base, actor=by.email, reason=reason)
    return base


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def check_base(base: BaseModelVersion, *, by: User, host: str = "") -> BaseCheck:
    """Have every byte read again on one host; what lives on the hub and is missing there is fetched first."""
    if not base.is_ready:
        raise Refused(f"{base} is not ready: there is nothing to compare its files with yet.", code="base_not_ready")
    known = {*base.copies.values_list("host", flat=True), *Host.objects.values_list("name", flat=True)}
    if host and host not in known:
        raise Invalid("There is no such host.", code="no_such_host", field="host")
    BaseModelVersion.objects.select_for_update(no_key=True).get(pk=base.pk)
    if BaseCheck.objects.filter(base=base, host=host, state__in=ACTIVE).exists():
        raise Refused("These files are being checked already. Wait for the result.", code="already_checking")
    check = BaseCheck.objects.create(project=base.project, base=base, host=host, asked_by=by)
    leases.queue_job(check, actor=by.email)
    return check


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def change_base(base: BaseModelVersion, *, by: User, reason: str, **changes: Any) -> BaseModelVersion:
    """Write down what no file says: licence, where its text is, further terms, end of life. Takes what is given.

    `reason` says where that is known from. What really changed is in the audit log with its old and new value.
    """
    base = BaseModelVersion.objects.select_for_update(of=("self",)).select_related("project").get(pk=base.pk)
    if not base.is_ready:
        raise Refused(f"{base} is not ready. Its licence is read with its files: wait for them.", code="base_not_ready")
    wanted = {name: _checked(name, value) for name, value in changes.items()}
    changed = {name: value for name, value in wanted.items() if getattr(base, name) != value}
    if not changed:
        return base
    reason = reason.strip()
    if not 3 <= len(reason) <= LONGEST_REASON or "\x00" in reason:
        raise Invalid(
            f"Say where this is known from, in 3 to {LONGEST_REASON:,} characters.",
            code="reason_needed",
            field="reason",
        )
    detail = {name: [_plain(getattr(base, name)), _plain(value)] for name, value in changed.items()}
    for name, value in changed.items():
        setattr(base, name, value)
    base.save(update_fields=list(changed))
    transitions.record(base, selectors.CHANGED_BASE, actor=by.email, reason=reason, **detail)
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


def _checked(name: str, value: Any) -> Any:
    """A new value as it is kept, or why it cannot be."""
    if name == "end_of_life":
        if value is not None and not EARLIEST <= value <= LATEST:
            raise Invalid("An end of life is a day from 2000 to 2100.", code="bad_date", field=name)
        return value
    text = str(value).strip()
    if len(text) > TEXTS[name] or not text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        raise Invalid(f"Plain text of up to {TEXTS[name]:,} characters.", code="bad_text", field=name)
    if name == "licence_link" and text and not LINK.match(text):
        raise Invalid("A link begins with https:// or http:// and has no spaces.", code="bad_link", field=name)
    return text


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


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
