"""The Celery application: two queues, small messages, early acknowledgement."""

import os

from celery import Celery
from celery.signals import worker_init
from django.core import checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
app = Celery("luthier")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def refuse_unfit_settings(**_) -> None:
    """A worker that would lose work by its settings does not start."""
    serious = [found for found in checks.run_checks(tags=["workers"]) if found.is_serious()]
    if serious:
        raise SystemExit("\n".join(f"{found.id}: {found.msg} {found.hint}" for found in serious))
