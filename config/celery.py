"""The Celery application: two queues, small messages, early acknowledgement."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
app = Celery("luthier")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
