"""Fixtures of tests with a database."""

import pytest
from django.db import connection

from projects import jobs
from tests import standing as kept
from tests.factories.toys import Toy


@pytest.fixture(scope="session")
def toy_table(django_db_setup, django_db_blocker):
    """The table of toys, made outside of any transaction: SQLite cannot change tables within one."""
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Toy)
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(Toy)


@pytest.fixture(scope="module")
def standing(django_db_setup, django_db_blocker, tmp_path_factory):
    """Make once what all tests of a module begin with: `standing(function)`."""
    with kept.made_once(tmp_path_factory.mktemp("standing"), django_db_blocker) as make:
        yield make


@pytest.fixture
def toys(toy_table, db):
    """Toys may be made; afterwards neither their rows nor their kind are left."""
    yield
    Toy.objects.all().delete()
    jobs._kinds.pop(Toy._meta.label_lower, None)


@pytest.fixture
def quick_children(monkeypatch):
    """Notice the end of a child at once instead of after half a second."""
    monkeypatch.setattr("projects.supervision.POLL_SECONDS", 0.02)
