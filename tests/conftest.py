"""Fixtures that every test may use."""

import gc
import os

gc.disable()  # until all is imported and collected: nearly nothing of it is garbage, and a walk through it is long
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in the test's thread
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from pathlib import Path

import hypothesis
import pytest

from tests import standing
from tools import emptying, forking, migrated

ROOT = Path(__file__).resolve().parents[1]
# How long examples take to draw says how busy the machine is, and nothing about the code.
hypothesis.settings.register_profile("luthier", suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)
hypothesis.settings.load_profile("luthier")
DATABASE = {"db", "transactional_db", "live_server"}


@pytest.fixture(autouse=True)
def _own_folders(request):
    """Every test with a database has its own files, so that nothing is found that another left."""
    if request.node.get_closest_marker("django_db") or DATABASE & set(request.fixturenames):
        request.getfixturevalue("own_folders")


@pytest.fixture(scope="session")
def untouched_folders():
    """Folders of data that a test had and wrote nothing to: most tests write nothing."""
    return []


@pytest.fixture
def data_dir(request, tmp_path_factory, untouched_folders):
    """Below tmp_path where the test has one: what is written beside its data is seen there."""
    if standing.files or "tmp_path" in request.fixturenames:
        folder = standing.made(request.getfixturevalue("tmp_path") / "data")
        for files in standing.files:
            shutil.copytree(files, folder, symlinks=True, dirs_exist_ok=True)
        yield folder
        return
    folder = untouched_folders.pop() if untouched_folders else standing.made(tmp_path_factory.mktemp("own") / "data")
    failed = request.session.testsfailed
    yield folder
    if is_untouched(folder):
        untouched_folders.append(folder)
    elif request.session.testsfailed == failed:
        shutil.rmtree(folder.parent, ignore_errors=True)


def is_untouched(data):
    there = sorted(os.listdir(data)) if data.is_dir() else []
    return there == sorted(standing.FOLDERS.values()) and not any(os.listdir(data / name) for name in there)


@pytest.fixture
def own_folders(settings, data_dir):
    for name, value in standing.places(data_dir).items():
        setattr(settings, name, value)


@pytest.fixture(scope="session", autouse=True)
def fork_server():
    """Engines that need no torch are forked from a process that has their imports behind it, started by the first."""
    with forking.forking(ROOT) as server:
        yield server


@pytest.fixture
def no_new_stretch(monkeypatch):
    """Attempts are counted in stretches by the clock; none ends, and none begins, while a test counts."""
    from types import SimpleNamespace

    from django.utils import timezone

    moment = timezone.now()
    monkeypatch.setattr("projects.services.throttling.timezone", SimpleNamespace(now=lambda: moment))


@pytest.fixture
def true_start(fork_server, monkeypatch):
    """Engines start from nothing, as they do in an installation."""
    monkeypatch.setattr("projects.child.spawn", fork_server.usual)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings, django_db_use_migrations):
    """Where migrations count they have run once, and each worker's database begins as a copy of what they made."""
    from django.conf import settings

    emptying.install()
    database = settings.DATABASES["default"]
    if not django_db_use_migrations:
        return
    if database["ENGINE"].endswith("sqlite3"):
        migrated.fill_sqlite(Path(database["TEST"]["NAME"]))
    else:
        database["TEST"]["TEMPLATE"] = migrated.postgres_template(os.environ["DATABASE_URL"])


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb, django_db_use_migrations):
    """A SQLite file that has been put in place is used, not made again; it goes with the folder it is in."""
    from django.conf import settings

    return django_db_keepdb or (
        django_db_use_migrations and settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    )


def pytest_unconfigure(config):
    """The scratch folder of these settings goes with the process that made it."""
    from django.conf import settings

    if settings.configured and settings.DATA_DIR.name.startswith("luthier-test-"):
        shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


def pytest_collection_finish(session):
    """What was imported and collected stays to the end: the collector of garbage need not walk through it again."""
    gc.collect()
    gc.freeze()
    gc.enable()
