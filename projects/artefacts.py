"""Files that the product stands on: uploads, dataset versions, adapters.

A directory is committed once, under a key nobody else writes to, with a MANIFEST.json that holds the sha256 of every
file. On a local disk it appears by one rename; on an object store the manifest is written last, so a directory
without one does not exist. What is read is checked against the manifest first: safetensors and Parquet load flipped
bits without a word.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage

from projects import faults
from projects.domain.errors import Refused

MANIFEST = "MANIFEST.json"
CHUNK = 1024 * 1024


class ArtefactDamaged(Refused):
    """A stored file is missing or is not what was stored."""

    code = "artefact_damaged"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_of(folder: Path) -> dict[str, Any]:
    """{"files": {relative name: {"sha256", "size"}}, "digest": sha256 of that table}."""
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "size": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != MANIFEST
    }
    return _listed(files)


def _listed(files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    table = json.dumps(files, sort_keys=True, separators=(",", ":"))
    return {"files": files, "digest": hashlib.sha256(table.encode()).hexdigest()}


def _is_local() -> bool:
    return isinstance(default_storage, FileSystemStorage) or isinstance(
        getattr(default_storage, "_wrapped", None), FileSystemStorage
    )


def _place(key: str) -> Path:
    """Where a key lies on this machine. Keys are made by us; a key that climbs out is a programming error."""
    root = Path(default_storage.path("")) if _is_local() else Path(settings.CACHE_DIR) / "artefacts"
    path = (root / key).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{key!r} leaves the store")
    return path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def commit_directory(source: Path, key: str) -> dict[str, Any]:
    """Store a finished directory under `key` and return its manifest. Doing the same again changes nothing."""
    return _commit(source, key, manifest_of(source), _appear)


def commit_made(source: Path, key: str, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Store a directory of many gigabytes whose maker has hashed it: by one rename where the store is on its disk.

    The hashes are taken as told, so that nobody waits for all of it to be read again; every read checks them.
    """
    there = {path.relative_to(source).as_posix(): path.stat().st_size for path in source.rglob("*") if path.is_file()}
    there.pop(MANIFEST, None)
    if there != {name: entry["size"] for name, entry in files.items()}:
        raise ArtefactDamaged("The directory does not hold the files that were told.")
    return _commit(source, key, _listed(files), _move)


def _commit(source: Path, key: str, manifest: dict[str, Any], put: Callable[[Path, Path], None]) -> dict[str, Any]:
    (source / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    faults.point("artefacts.manifest_written")
    place = _place(key)
    if not (place / MANIFEST).exists():
        put(source, place)
    elif json.loads((place / MANIFEST).read_text())["digest"] != manifest["digest"]:
        raise ArtefactDamaged(f"Something else is already stored as {key}.")
    if not _is_local():
        _upload(place, key, manifest)
    faults.point("artefacts.committed")
    return manifest


def _appear(source: Path, place: Path) -> None:
    """Copy aside, flush, and rename: a reader sees all of it or nothing."""
    aside = place.parent / f".{place.name}.{uuid.uuid4().hex}"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, aside)
    faults.point("artefacts.copied")
    for path in [p for p in aside.rglob("*") if p.is_file()] + [aside]:
        _sync(path)
    shutil.rmtree(place, ignore_errors=True)  # a directory without its manifest is the torn work of nobody
    faults.point("artefacts.before_rename")
    aside.rename(place)
    faults.point("artefacts.after_rename")
    _sync(place.parent)


def _move(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)  # a directory without its manifest is the torn work of nobody
    _sync(source / MANIFEST)
    _sync(source)
    try:
        source.rename(place)
    except OSError:  # another disk
        _appear(source, place)
    _sync(place.parent)


def room() -> Path | None:
    """The folder of the store, where it is a disk of this machine."""
    if not _is_local():
        return None
    root = Path(default_storage.path(""))
    root.mkdir(parents=True, exist_ok=True)
    return root


def _upload(place: Path, key: str, manifest: dict[str, Any]) -> None:
    for name in [*manifest["files"], MANIFEST]:  # the manifest last: it makes the directory exist
        with (place / name).open("rb") as file:
            default_storage.save(f"{key}/{name}", File(file))


def read_manifest(key: str) -> dict[str, Any]:
    try:
        if _is_local():
            return json.loads((_place(key) / MANIFEST).read_text())
        with default_storage.open(f"{key}/{MANIFEST}") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise ArtefactDamaged(f"The files stored as {key} are missing or damaged.") from error


def fetch_directory(key: str, *, verify: bool = True) -> Path:
    """A local directory with the files of `key`, each checked against the manifest unless told otherwise."""
    place = _place(key)
    if not _is_local() and not (place / MANIFEST).exists():
        _download(key, place)
    if verify:
        check_directory(place, read_manifest(key))
    elif not (place / MANIFEST).exists():
        raise ArtefactDamaged(f"The files stored as {key} are missing.")
    return place


def _download(key: str, place: Path) -> None:
    manifest = read_manifest(key)
    aside = place.parent / f".{place.name}.{uuid.uuid4().hex}"
    for name in [*manifest["files"], MANIFEST]:
        target = aside / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with default_storage.open(f"{key}/{name}") as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, CHUNK)
    try:
        aside.rename(place)
    except OSError:
        shutil.rmtree(aside)  # another process fetched it meanwhile
        if not (place / MANIFEST).exists():
            raise


def check_directory(place: Path, manifest: dict[str, Any]) -> None:
    """Every file of the manifest must be there with its size and sha256; the first that is not is named."""
    for name, expected in manifest["files"].items():
        path = place / name
        if not path.is_file():
            raise ArtefactDamaged(f"{name} is missing from {place.name}.")
        if path.stat().st_size != expected["size"] or sha256_of(path) != expected["sha256"]:
            raise ArtefactDamaged(f"{name} in {place.name} is not the file that was stored: its checksum differs.")


def store_upload(key: str, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Store one file from its parts; returns sha256 and size in bytes."""
    place, digest, size = _place(key), hashlib.sha256(), 0
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        faults.point("artefacts.part_written")
        aside.rename(place)
        faults.point("artefacts.part_renamed")
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if not _is_local():
        with place.open("rb") as file:
            default_storage.save(key, File(file))
    return digest.hexdigest(), size


def seal(key: str, files: dict[str, dict[str, Any]]) -> None:
    """Files that were stored one by one under `key` become a directory: its manifest, written last, names them."""
    place = _place(key)
    place.mkdir(parents=True, exist_ok=True)
    aside = place / f".{MANIFEST}.{uuid.uuid4().hex}"
    aside.write_text(json.dumps(_listed(files), indent=1, sort_keys=True))
    _sync(aside)
    faults.point("artefacts.before_seal")
    aside.rename(place / MANIFEST)
    faults.point("artefacts.sealed")
    if not _is_local():
        with (place / MANIFEST).open("rb") as file:
            default_storage.save(f"{key}/{MANIFEST}", File(file))


def local_files(key: str) -> list[Path]:
    """The pieces of one stored file in their order: itself, or the parts of a sealed directory."""
    place = _place(key)
    if place.is_file() or not ((place / MANIFEST).exists() or default_storage.exists(f"{key}/{MANIFEST}")):
        return [local_file(key)]
    names = sorted(read_manifest(key)["files"])
    if _is_local() or all((place / name).is_file() for name in names):
        return [place / name for name in names]
    return [local_file(f"{key}/{name}") for name in names]


def local_file(key: str) -> Path:
    """A local path of one stored file."""
    place = _place(key)
    if not place.exists() and not _is_local():
        with default_storage.open(key) as source:
            store_upload_locally(place, source)
    if not place.exists():
        raise ArtefactDamaged(f"The file stored as {key} is missing.")
    return place


def store_upload_locally(place: Path, source: Any) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    with aside.open("wb") as out:
        shutil.copyfileobj(source, out, CHUNK)
    aside.rename(place)


def delete(key: str) -> None:
    """Remove a file or a directory; what is already gone is fine."""
    faults.point("artefacts.before_delete")
    place = _place(key)
    if not _is_local():
        names = [key]
        if place.is_dir() or default_storage.exists(f"{key}/{MANIFEST}"):
            names = [f"{key}/{name}" for name in [MANIFEST, *read_manifest(key)["files"]]]
        for name in names:
            default_storage.delete(name)
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
