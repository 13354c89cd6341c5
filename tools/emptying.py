"""Empties the database after a test that commits: the tables that hold rows, of eighty most often a dozen.

Django's own way flushes every table, and then lets every app write its content types and permissions again.
"""

from functools import cache
from typing import Any

from django.core.management.color import no_style
from django.db import connections, transaction
from django.test import TransactionTestCase

KEPT = {"django_content_type", "auth_permission"}  # what the end of a migration writes, the same each time
_case: Any = TransactionTestCase  # the types of Django know nothing of what it does after a test
usual = _case._fixture_teardown


def install() -> None:
    """From here on, in this process."""
    _case._fixture_teardown = _after_test


def empty(alias: str) -> None:
    """No row is left but those of KEPT; rows of tables that belong to no installed app are not touched."""
    connection = connections[alias]
    if not (tables := that_hold_rows(alias)):
        return
    if may_leave_out_checks(alias):
        _delete(alias, tables)
        return
    cascade = connection.vendor == "postgresql"  # it truncates no table that another, empty or not, refers to
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables, allow_cascade=cascade))


@cache
def may_leave_out_checks(alias: str) -> bool:
    """Whether PostgreSQL lets this user delete without looking at keys and triggers: superusers only."""
    if connections[alias].vendor != "postgresql":
        return False
    with connections[alias].cursor() as cursor:
        cursor.execute("SHOW is_superuser")
        return bool(cursor.fetchone()[0] == "on")


def _delete(alias: str, tables: list[str]) -> None:
    """TRUNCATE gives every table that hangs on one of these new files, with those of its indexes: half a second.

    The few rows of a test are deleted in milliseconds, with nothing looked up that goes as well.
    """
    connection = connections[alias]
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def that_hold_rows(alias: str) -> list[str]:
    connection, tables = connections[alias], _tables(alias)
    asked = "SELECT {} WHERE EXISTS (SELECT 1 FROM {})"
    one = " UNION ALL ".join(asked.format(n, connection.ops.quote_name(table)) for n, table in enumerate(tables))
    with connection.cursor() as cursor:
        cursor.execute(one)
        return [tables[n] for (n,) in cursor.fetchall()]


@cache
def _tables(alias: str) -> list[str]:
    there = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(there) - KEPT)


def _after_test(case: Any) -> None:
    if case.available_apps is not None or case.serialized_rollback or case.reset_sequences:
        usual(case)
        return
    for alias in case._databases_names(include_mirrors=False):
        empty(alias)
