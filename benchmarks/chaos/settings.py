"""Settings of an installation under fire: the product's own, the fake trainer, unreliable messages, and a name for
every writer, so that the witness in the database can tell whose each write was."""

import os
import sys

from django.db.backends.signals import connection_created

from benchmarks.chaos import messages
from config.settings.base import *  # noqa: F403
from config.settings.base import DATABASES, ENGINES

ENGINES = ENGINES | {"training.run": [sys.executable, "-m", "benchmarks.chaos.trainer"]}


def writer() -> str:
    """Who this process is: a supervisor with the job and the fence that it was started with, or its part's name."""
    if "supervise" in sys.argv:
        return "|".join(["supervise", *sys.argv[sys.argv.index("supervise") + 1 :][:3]])
    return os.environ.get("LUTHIER_CHAOS_PART", "harness")


WRITER = writer()
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    DATABASES["default"].setdefault("OPTIONS", {})["application_name"] = WRITER[:63]


def introduce(connection, **_) -> None:
    """SQLite has no application names: the triggers of the witness ask this function instead."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("chaos_writer", 0, lambda: WRITER)


connection_created.connect(introduce, dispatch_uid="chaos")
messages.install()
