"""Databases with all tables in place: the migrations run once, and every test database begins as a copy.

Migrating from nothing takes a quarter of a minute of one core, most of it spent on rendering old states of the models.
A copy is what the migrations made, triggers included. Another set of migrations makes another original.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".pytest_cache" / "d" / "migrated"
MARK = "_migrated_"


def fingerprint() -> str:
    """Of everything that decides what the tables are."""
    digest = hashlib.sha256(django.__version__.encode())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def fill_sqlite(target: Path) -> None:
    """Put a migrated SQLite file in this place, unless something is there."""
    if target.exists():
        return
    with _alone():
        original = KEPT / f"{fingerprint()}.sqlite3"
        if not original.exists():
            for old in KEPT.glob("*.sqlite3*"):
                old.unlink()
            unfinished = original.with_suffix(".sqlite3-unfinished")
            _migrate(f"sqlite:///{unfinished}")
            unfinished.rename(original)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, target)


def postgres_template(url: str) -> str:
    """The name of a migrated PostgreSQL database beside the one of `url`, to be copied by CREATE DATABASE."""
    stem = f"test_{urlsplit(url).path.removeprefix('/')}{MARK}"
    name = stem + fingerprint()
    with _alone(), _cursor(url) as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [stem])
        there = {row[0] for row in cursor.fetchall()}
        if name not in there:
            for old in there:
                cursor.execute(f'DROP DATABASE "{old}"')
            unfinished = f"{stem}unfinished"
            cursor.execute(f'CREATE DATABASE "{unfinished}"')
            _migrate(urlunsplit(urlsplit(url)._replace(path=f"/{unfinished}")))
            cursor.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    return name


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time makes an original or copies it; the others wait."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _cursor(url: str) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield connection.cursor()


def _migrate(url: str) -> None:
    settings = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=True)
