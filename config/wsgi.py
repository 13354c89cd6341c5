"""The web process."""

import gc
import os
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")


def settled() -> Any:
    """The application with every page loaded, and out of the garbage collector's way.

    What is there at the start stays to the end; looking through it again and again took half of the time of pages that
    read many rows.
    """
    from django.urls import get_resolver

    application = get_wsgi_application()
    assert get_resolver().url_patterns
    gc.collect()
    gc.freeze()
    return application


application = settled()
