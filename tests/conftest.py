"""Fixtures that every test may use."""

import os

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in the test's thread
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

from tools import forkserver

ROOT = Path(__file__).resolve().parents[1]
DATABASE = {"db", "transactional_db", "live_server"}


@pytest.fixture(autouse=True)
def _own_folders(request):
    """Every test with a database has its own files, so that nothing is found that another left."""
    if request.node.get_closest_marker("django_db") or DATABASE & set(request.fixturenames):
        request.getfixturevalue("own_folders")


@pytest.fixture
def own_folders(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"
    settings.WORK_DIR = settings.DATA_DIR / "work"
    settings.CACHE_DIR = settings.DATA_DIR / "cache"
    settings.MODELS_DIR = settings.DATA_DIR / "models"
    settings.DEPLOY_DIR = settings.DATA_DIR / "deployments"
    for folder in (settings.WORK_DIR, settings.CACHE_DIR, settings.MODELS_DIR, settings.DEPLOY_DIR):
        folder.mkdir(parents=True, exist_ok=True)
    storages = {name: dict(config) for name, config in settings.STORAGES.items()}
    storages["default"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(settings.DATA_DIR / "files")},
    }
    settings.STORAGES = storages


@pytest.fixture(scope="session", autouse=True)
def fork_server():
    """Engines that need no torch are forked from a process that has their imports behind it, started by the first."""
    with forkserver.forking(ROOT) as server:
        yield server


@pytest.fixture
def true_start(fork_server, monkeypatch):
    """Engines start from nothing, as they do in an installation."""
    monkeypatch.setattr("projects.child.spawn", fork_server.usual)
