"""A worker that could not keep its promises does not start."""

import pytest

from config import celery, env


def test_a_host_that_gives_too_little_time_to_save_does_not_start(settings):
    settings.STOP_GRACE_SECONDS, settings.MIN_STOP_GRACE_SECONDS = 3, 5
    with pytest.raises(SystemExit, match=r"given 3 s to save, and 5 s is the least.*LUTHIER_STOP_GRACE_SECONDS"):
        celery.refuse_unfit_settings()


def test_a_host_that_gives_enough_starts(settings):
    settings.STOP_GRACE_SECONDS = settings.MIN_STOP_GRACE_SECONDS = 5
    assert celery.refuse_unfit_settings() is None


def test_a_broker_that_gives_messages_up_before_we_do_is_refused(settings):
    settings.BROKER = env.Broker("amqp://guest@127.0.0.1//", {"confirm_publish": True})
    settings.CONSUMER_TIMEOUT_SECONDS = 90
    with pytest.raises(SystemExit, match=r"hold its worker for 140 s, but RabbitMQ's consumer_timeout is 90 s"):
        celery.refuse_unfit_settings()


def test_the_visibility_timeout_of_redis_is_compared_too(settings):
    settings.BROKER = env.Broker("redis://127.0.0.1/0", {"visibility_timeout": 300})
    assert celery.refuse_unfit_settings() is None

    settings.CELERY_TASK_TIME_LIMIT = 301
    with pytest.raises(SystemExit, match="visibility timeout is 300 s"):
        celery.refuse_unfit_settings()


@pytest.mark.parametrize("url", ["amqp://guest@host//", "amqps://guest@host//"])
def test_rabbitmq_confirms_what_it_was_given(monkeypatch, url):
    monkeypatch.setenv("CELERY_BROKER_URL", url)

    assert env.broker("redis://").options["confirm_publish"] is True


def test_messages_are_acknowledged_before_their_tasks_and_taken_one_by_one(settings):
    assert settings.CELERY_TASK_ACKS_LATE is False
    assert settings.CELERY_WORKER_PREFETCH_MULTIPLIER == 1
