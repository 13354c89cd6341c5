"""What is left in the database after a test that commits: the same as Django's own flush leaves."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase

from tests.factories import deployments
from tests.factories.projects import make_project
from tools import emptying

pytestmark = pytest.mark.django_db(transaction=True)


def rows():
    """Of every table of an installed app how many rows it has."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.django_table_names(only_existing=True)):
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
            found[table] = cursor.fetchone()[0]
    return found


def test_all_that_a_test_committed_is_gone_and_nothing_else():
    call_command("flush", verbosity=0, interactive=False)  # as Django does it
    expected = rows()
    deployments.make_live()
    filled = rows()

    emptying.empty("default")

    assert rows() == expected
    assert sum(filled[table] > expected[table] for table in filled) > 15
    assert emptying.that_hold_rows("default") == []
    assert {table for table, count in expected.items() if count} == emptying.KEPT
    emptying.empty("default")  # nothing is there
    assert rows() == expected


def test_numbers_go_on_where_they_were():
    first = make_project()
    emptying.empty("default")
    assert make_project().pk > first.pk


def test_tests_that_commit_are_emptied_so():
    assert TransactionTestCase._fixture_teardown is emptying._after_test
    assert {model._meta.db_table for model in apps.get_models()} >= emptying.KEPT


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has roles that may leave out checks")
@pytest.mark.parametrize("superuser", [True, False])
def test_both_ways_of_postgresql_leave_the_same(superuser, monkeypatch):
    assert emptying.may_leave_out_checks("default") is True  # else the quick way is not tried here
    monkeypatch.setattr(emptying, "may_leave_out_checks", lambda alias: superuser)
    call_command("flush", verbosity=0, interactive=False)
    expected = rows()
    deployments.make_live()

    emptying.empty("default")

    assert rows() == expected
    with connection.cursor() as cursor:
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("origin",), "keys and triggers count again in what follows"
