"""The web process stays light: it never loads what trains models."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

HEAVY = ["torch", "transformers", "trl", "peft", "datasets", "pandas", "accelerate", "sklearn"]
PROBE = """
import sys, config.wsgi
from django.urls import get_resolver
list(get_resolver().url_patterns)
print([name for name in {heavy} if name in sys.modules])
"""


@pytest.mark.slow
def test_the_web_entry_with_all_its_pages_loads_nothing_that_trains():
    code = PROBE.format(heavy=HEAVY)
    environment = os.environ | {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "config.settings.base"}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "[]"


def test_it_refuses_to_start_on_the_default_key_outside_debug(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in {"SECRET_KEY", "DEBUG", "DJANGO_SETTINGS_MODULE"}}
    said = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env=environment | {"LUTHIER_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode != 0
    assert "Set SECRET_KEY" in said.stderr
