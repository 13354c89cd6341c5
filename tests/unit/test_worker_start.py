"""A worker that could not keep its promises does not start."""

import pytest

from config import celery


def test_a_host_that_gives_too_little_time_to_save_does_not_start(settings):
    settings.STOP_GRACE_SECONDS, settings.MIN_STOP_GRACE_SECONDS = 3, 5
    with pytest.raises(SystemExit, match=r"given 3 s to save, and 5 s is the least.*LUTHIER_STOP_GRACE_SECONDS"):
        celery.refuse_unfit_settings()


def test_a_host_that_gives_enough_starts(settings):
    settings.STOP_GRACE_SECONDS = settings.MIN_STOP_GRACE_SECONDS = 5
    assert celery.refuse_unfit_settings() is None
