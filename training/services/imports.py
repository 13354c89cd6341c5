"""Bringing adapters that were trained elsewhere."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from datasets_app import selectors as datasets
from datasets_app.domain.names import display_name
from datasets_app.models import DatasetVersion
from projects import artefacts, leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.formatting import size as readable_size
from projects.domain.permissions import Permission
from projects.models import Project, User
from projects.transitions import record
from training.domain import adapters
from training.models import Adapter, AdapterImport, BaseModelVersion

ARCHIVE = "archive.zip"


class WrongType(Invalid):
    """What is brought is of a kind that is not even opened."""

    status = 415
    code = "only_safetensors"


@requires(Permission.ADAPTER_IMPORT)
def import_adapter(
    project: Project,
    *,
    by: User,
    name: str,
    source: str,
    files: list[Any],
    base: BaseModelVersion | None = None,
    dataset_version: DatasetVersion | None = None,
) -> AdapterImport:
    """Store the files as they came and queue their reading; nothing is opened here.

    `files` is one ZIP archive, or adapter_config.json and adapter_model.safetensors. `base` and `dataset_version` are
    what the importer declares; left out, the base is looked up by what the config says.
    """
    named = _named(files)
    fields = {"name": _text("name", name, 120), "source": _text("source", source, 500)}
    _check_declared(project, base, dataset_version)
    with transaction.atomic():
        datasets.refuse_full(project, sum(file.size for file in files))
    key = f"imports/{uuid.uuid4().hex}"
    try:
        came = _store(key, named)
        return _queue(project, by, key=key, files=came, base=base, dataset_version=dataset_version, **fields)
    except BaseException:
        artefacts.delete(key)
        raise


def _store(key: str, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    table, came = {}, []
    for name, file in named.items():
        sha256, size = artefacts.store_upload(f"{key}/{name}", file.chunks())
        table[name] = {"sha256": sha256, "size": size}
        came.append({"name": display_name(file.name or name), "sha256": sha256, "size": size})
    artefacts.seal(key, table)
    return came


@transaction.atomic
def _queue(project: Project, by: User, **fields: Any) -> AdapterImport:
    row = AdapterImport.objects.create(project=project, imported_by=by, **fields)
    record(row, "adapterimport.created", actor=by.email, source=row.source, files=row.files)
    leases.queue_job(row, actor=by.email)
    return row


@requires(Permission.ADAPTER_IMPORT)
@transaction.atomic
def retry_import(row: AdapterImport, *, by: User) -> AdapterImport:
    """Read the same files again, such as after their base has been registered."""
    if not row.key:
        raise Refused("Its files are an adapter already.", code="already_imported")
    leases.queue_job(row, actor=by.email, findings=[])
    return row


@requires(Permission.ADAPTER_IMPORT)
@transaction.atomic
def delete_import(row: AdapterImport, *, by: User) -> None:
    """Take an import that came to nothing off the list, with its files."""
    if row.is_active:
        raise Refused("These files are still being read. Wait until that is over.", code="still_running")
    if Adapter.objects.filter(imported=row).exists():
        raise Refused("An adapter came of this import, so it stays as its record.", code="has_descendants")
    record(row, "adapterimport.deleted", actor=by.email)
    key = row.key
    row.delete()
    if key:
        transaction.on_commit(lambda: artefacts.delete(key))


def _named(files: list[Any]) -> dict[str, Any]:
    """The files by the names under which they are kept; a name alone can be enough to refuse them."""
    if not files:
        raise Invalid("Choose the files of the adapter.", code="no_files", field="files")
    names = [display_name(file.name or "") for file in files]
    if pickled := [name for name in names if name.lower().endswith(adapters.PICKLES)]:
        raise WrongType(
            f"{pickled[0]} is a pickle, and those can run code. Only safetensors are taken: convert the adapter first.",
            field="files",
        )
    if sum(file.size for file in files) > settings.MAX_UPLOAD_BYTES:
        most = readable_size(settings.MAX_UPLOAD_BYTES)
        raise Invalid(f"At most {most} are taken. No adapter is larger.", code="too_large", field="files")
    if len(files) == 1 and names[0].lower().endswith(".zip"):
        named = {ARCHIVE: files[0]}
    else:
        named = dict(zip(names, files, strict=True))
        _check_names(names)
    if empty := [name for name, file in named.items() if not file.size]:
        raise Invalid(f"{empty[0]} is empty. Choose the file again.", code="empty_file", field="files")
    return named


def _check_names(names: list[str]) -> None:
    known = adapters.FILES - {adapters.MANIFEST}
    if strange := [name for name in names if name not in known]:
        raise Invalid(
            f"{strange[0]} does not belong to an adapter. Bring {adapters.CONFIG} and {adapters.WEIGHTS}, or one ZIP "
            "archive of them.",
            code="unknown_file",
            field="files",
        )
    if len(set(names)) < len(names) or not {adapters.CONFIG, adapters.WEIGHTS} <= set(names):
        raise Invalid(
            f"Bring {adapters.CONFIG} and {adapters.WEIGHTS} together, each once, or one ZIP archive of them.",
            code="incomplete_adapter",
            field="files",
        )


def _text(field: str, value: str, longest: int) -> str:
    chosen = value.strip()
    if not chosen or len(chosen) > longest or not chosen.isprintable():
        words = {"name": "Give the adapter a name", "source": "Say where the adapter comes from"}[field]
        raise Invalid(f"{words}, in up to {longest} characters on one line.", code=f"bad_{field}", field=field)
    return chosen


def _check_declared(project: Project, base: BaseModelVersion | None, version: DatasetVersion | None) -> None:
    """Everything from this project."""
    if base is not None and base.project_id != project.pk:
        raise Invalid("There is no such base model in this project.", code="not_found", field="base")
    if base is not None and not base.is_ready:
        raise Refused(f"The base model {base} is not ready yet.", code="base_not_ready", field="base")
    if version is not None and version.dataset.project_id != project.pk:
        raise Invalid("There is no such dataset version in this project.", code="not_found", field="dataset_version")
    if version is not None and version.dataset.purpose != "training":
        purpose = version.dataset.get_purpose_display().lower()
        raise Invalid(f"{version} is a {purpose}, and nothing is trained on those.", code="wrong_purpose",
                      field="dataset_version")  # fmt: skip
