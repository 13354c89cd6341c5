"""Which files a model's folder may hold: plain ones, below the models folder, and none that could run."""

import itertools
from pathlib import Path

from training.domain import fingerprint
from training.domain.fingerprint import UnusableBase

MOST_FILES = 20_000


def check(folder: Path, root: Path) -> None:
    """Refuse links that lead out of `root`, what is no file, and code; no file is opened for it."""
    names, top = [], root.resolve()
    for path in itertools.islice(folder.rglob("*"), MOST_FILES + 1):
        if not _leads_below(path, top):
            raise UnusableBase(
                f"{path.name} is a link that leads out of the models folder. Put the file itself there.",
                code="unsafe_path",
            )
        if not path.is_dir() and not path.is_file():
            raise UnusableBase(f"{path.name} is no plain file. Remove it from the model.", code="unsafe_path")
        names.append(path.relative_to(folder).as_posix())
    if len(names) > MOST_FILES:
        raise UnusableBase(f"The folder holds more than {MOST_FILES:,} files. That is no model.", code="unusable_base")
    fingerprint.check_files(names)


def _leads_below(path: Path, top: Path) -> bool:
    try:
        return path.resolve().is_relative_to(top)
    except (OSError, RuntimeError):  # a ring of links
        return False
