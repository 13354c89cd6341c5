"""The files of an adapter as they came, in a ZIP archive or by themselves. None is opened before its name is known."""

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from datasets_app.engine.archive import checked
from datasets_app.engine.refusal import FileRefused
from projects.domain.errors import Invalid
from training.domain import adapters
from training.domain.findings import Finding

CHUNK = 1024 * 1024
MOST_MEMBERS, RATIO = 1000, 100
# Of what is not weights; the largest tokenizers that are published have 35 MB.
MOST_BYTES = {adapters.CONFIG: 256 * 1024, adapters.CARD: 1_000_000, adapters.MANIFEST: 1_000_000}
MOST_BESIDE = 64 * 1024 * 1024
NEEDED = (adapters.WEIGHTS, adapters.CONFIG)


class BadArchive(Invalid):
    """The archive cannot be used as a whole."""

    code = "archive_damaged"


def unpacked(folder: Path, into: Path, most: int) -> list[Finding]:
    """Bring the files of `folder` into `into`; what speaks against their names, and then none has been opened."""
    archives = [path for path in sorted(folder.iterdir()) if path.name.endswith(".zip")]
    into.mkdir(parents=True)
    if archives:
        return _unzipped(archives[0], into, most)
    files = {path.name: path for path in folder.iterdir() if path.name != adapters.MANIFEST}  # that one is the store's
    found = adapters.about_names(files, NEEDED) + list(_too_large({n: p.stat().st_size for n, p in files.items()}))
    if not found:
        for name, path in files.items():
            shutil.copyfile(path, into / name)
    return found


def _unzipped(path: Path, into: Path, most: int) -> list[Finding]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            found = adapters.about_names(members, NEEDED)
            found += list(_too_large({name: one.file_size for name, one in members.items()}))
            if found:
                return found
            if sum(one.file_size for one in members.values()) > min(most, RATIO * path.stat().st_size):
                raise BadArchive("The archive unpacks to far more than it holds.", code="archive_too_large")
            for name, one in members.items():
                _extract(archive, one, into / name)
    except FileRefused as refused:
        raise BadArchive(str(refused), code=refused.code.value) from refused
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as problem:
        raise BadArchive(f"The archive cannot be read: {str(problem)[:160]}. Pack it again.") from problem
    return []


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Files by name; one folder around all of them is left out, as in archives that were made from a folder."""
    listed = archive.infolist()
    if len(listed) > MOST_MEMBERS:
        raise BadArchive(f"The archive has {len(listed)} entries. An adapter has a few.", code="archive_too_many")
    files = [one for one in checked(listed) if not one.is_dir()]
    tops = {one.filename.partition("/")[0] for one in files if "/" in one.filename}
    inside = len(tops) == 1 and all("/" in one.filename for one in files)
    drop = len(tops.pop()) + 1 if inside else 0
    return {one.filename[drop:]: one for one in files}


def _too_large(sizes: dict[str, int]) -> Iterator[Finding]:
    for name, size in sorted(sizes.items()):
        most = MOST_BYTES.get(name, MOST_BESIDE)
        if name != adapters.WEIGHTS and size > most:
            code = "unsafe_adapter_config" if name == adapters.CONFIG else "file_too_large"
            yield Finding(code, f"{name} has {size:,} bytes, and an honest one {most:,} at most.", name)


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Not one byte more than the table of contents says: what lies about its size is stopped there."""
    left = member.file_size
    with archive.open(member) as source, target.open("wb") as out:
        while piece := source.read(CHUNK):
            left -= len(piece)
            if left < 0:
                raise BadArchive(f"{target.name} unpacks to more than it says.", code="archive_too_large")
            out.write(piece)
