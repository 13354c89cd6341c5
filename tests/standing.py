"""Rows and files that the tests of a module begin with: made once and committed; what a test does to them is its own.

    @pytest.fixture(scope="module")
    def drafted(standing): return standing(factory.make_draft)

Each test has its transaction, which is rolled back, and its copy of the files. For tests that commit it is not.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import override_settings

from tools import emptying

FOLDERS = {"WORK_DIR": "work", "CACHE_DIR": "cache", "MODELS_DIR": "models", "DEPLOY_DIR": "deployments"}
files: list[Path] = []  # of what stands now


def made(data: Path) -> Path:
    for name in FOLDERS.values():
        (data / name).mkdir(parents=True, exist_ok=True)
    return data


def places(data: Path) -> dict[str, Any]:
    """Settings by which all files are below this folder; engines are a copy, since factories put fakes in them."""
    storages = {name: dict(config) for name, config in settings.STORAGES.items()}
    storages["default"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(data / "files")},
    }
    folders = {setting: data / name for setting, name in FOLDERS.items()}
    return {"DATA_DIR": data, "ENGINES": dict(settings.ENGINES), "STORAGES": storages} | folders


@contextmanager
def made_once(folder: Path, blocker: Any) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Inside, what the given functions make stands; afterwards neither rows nor files of it are left."""
    data = made(folder / "data")

    def make(what: Callable[[], Any]) -> Any:
        with override_settings(**places(data)), blocker.unblock():
            return what()

    files.append(data)
    try:
        yield make
    finally:
        files.remove(data)
        with blocker.unblock():
            emptying.empty("default")
        shutil.rmtree(folder)
