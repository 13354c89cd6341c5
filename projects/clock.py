"""The clock that all hosts share."""

from datetime import UTC, datetime

from django.db import connection


def database_time() -> datetime:
    """The database's clock. Read before it is used in an update, so a lease errs on the short side."""
    if connection.vendor == "sqlite":
        return datetime.now(UTC)  # in this very process, so it is this machine's clock anyway
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]
