"""Fetching one commit of a model from the Hugging Face hub, or from what this host's cache holds of it."""

import errno
import fnmatch
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.domain import fingerprint
from training.engine.events import EngineError, emit

# What a model needs to be loaded; scripts and pickles are not even fetched.
WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]
COMMIT, SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Fetched:
    """The commit that a revision meant, and sha256 of its large files by name as the hub knows them."""

    commit: str
    hashes: Mapping[str, str]

    def check(self, found: Mapping[str, str]) -> None:
        """Refuse a file that has become another one on its way."""
        for name, expected in sorted(self.hashes.items()):
            if found.get(name, expected) != expected:
                text = f"{name} is not what the hub has at {self.commit[:12]}. Delete it below the data folder."
                raise EngineError(text, code="damaged_weights")


def fetch(repo_id: str, revision: str, folder: Path) -> Fetched:
    """Put one commit of a model into `folder`.

    What is there already is not fetched again. Offline, and for a commit also while the hub is away, the cache of this
    host is read instead; what a branch or tag means is then what it meant when the cache was filled.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError, RevisionNotFoundError

    if constants.HF_HUB_OFFLINE:
        return _from_cache(repo_id, revision, folder, "This worker works offline")
    try:
        return _from_hub(repo_id, revision, folder)
    except GatedRepoError as problem:
        text = f"“{repo_id}” is shown only to those who have accepted its terms on the hub."
        raise EngineError(text, code="hub_gated") from problem
    except (RepositoryNotFoundError, RevisionNotFoundError) as problem:
        text = f"The hub has no model “{repo_id}” at “{revision or 'main'}”."
        raise EngineError(text, code="revision_not_found") from problem
    except (HTTPError, OSError) as problem:
        if getattr(problem, "errno", None) == errno.ENOSPC:
            raise EngineError("The disk of the data folder is full.", code="disk_full") from problem
        if COMMIT.fullmatch(revision):
            return _from_cache(repo_id, revision, folder, f"The model hub cannot be reached ({problem})")
        raise EngineError(f"The model hub cannot be reached: {problem}", code="hub_unreachable") from problem


def _from_hub(repo_id: str, revision: str, folder: Path) -> Fetched:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    info: Any = HfApi().model_info(repo_id, revision=revision or None, files_metadata=True)
    fingerprint.check_files(sibling.rfilename for sibling in info.siblings)
    total = sum(sibling.size or 0 for sibling in info.siblings if _is_wanted(sibling.rfilename))
    folder.mkdir(parents=True, exist_ok=True)
    with _watching(folder, total):
        snapshot_download(repo_id, revision=info.sha, local_dir=folder, allow_patterns=WANTED)
    return Fetched(str(info.sha), {one.rfilename: one.lfs.sha256 for one in info.siblings if one.lfs})


def _from_cache(repo_id: str, revision: str, folder: Path, why: str) -> Fetched:
    """The files of a commit that somebody has fetched before, as links where the disk allows it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    asked = f"“{repo_id}” at “{revision or 'main'}”"
    try:
        found = snapshot_download(repo_id, revision=revision or None, local_files_only=True, allow_patterns=WANTED)
    except IncompleteSnapshotError as problem:
        text = f"{why}, and its cache holds {asked} only in part."
        raise EngineError(text, code="hub_unreachable") from problem
    except LocalEntryNotFoundError as problem:
        raise EngineError(f"{why}, and its cache does not hold {asked}.", code="hub_unreachable") from problem
    snapshot = Path(found)
    files = [path for path in sorted(snapshot.rglob("*")) if not path.is_dir()]
    if torn := next((path for path in files if not path.is_file()), None):
        text = f"{why}, and its cache holds {asked} only in part: {torn.name} is missing."
        raise EngineError(text, code="hub_unreachable")
    names = {path.relative_to(snapshot).as_posix(): path for path in files}
    fingerprint.check_files(names)
    wanted = {name: path for name, path in names.items() if _is_wanted(name)}
    with _watching(folder, sum(path.stat().st_size for path in wanted.values())):
        for name, path in wanted.items():
            _take(path.resolve(), folder / name)
    blobs = {name: path.resolve().name for name, path in wanted.items()}
    return Fetched(snapshot.name, {name: blob for name, blob in blobs.items() if SHA256.fullmatch(blob)})


def _take(source: Path, target: Path) -> None:
    """Link a file, or copy it where that cannot be; a file that is there under its name is whole."""
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:
        try:
            shutil.copyfile(source, aside)
        except OSError as problem:
            if problem.errno == errno.ENOSPC:
                raise EngineError("The disk of the data folder is full.", code="disk_full") from problem
            raise
    aside.replace(target)


def _is_wanted(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in WANTED)


@contextmanager
def _watching(folder: Path, total: int) -> Iterator[None]:
    """Tell how many bytes have come, by what lies in the folder; half-fetched files are counted as far as they are."""
    done = threading.Event()

    def watch() -> None:
        while True:
            emit("progress", phase="downloading", done=min(_bytes_in(folder), total), total=total)
            if done.wait(LOOK_SECONDS):
                return

    watcher = threading.Thread(target=watch, name="download-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _bytes_in(folder: Path) -> int:
    """Bytes of all files; of those that are still being fetched as many blocks as are written."""
    found = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # renamed in the meantime
            told = path.stat()
            found += told.st_blocks * 512 if path.suffix == ".incomplete" else told.st_size
    return found
