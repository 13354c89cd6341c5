#!/usr/bin/env python
"""Django's commands, and ours."""

import os
import secrets
import sys

from django.core.management import execute_from_command_line

# Commands that read a file and sign nothing run without an installation: any key will do, and it is gone afterwards.
WITHOUT_INSTALLATION = ("profile",)

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    if sys.argv[1:2] and sys.argv[1] in WITHOUT_INSTALLATION and not os.environ.get("SECRET_KEY"):
        os.environ["SECRET_KEY"] = secrets.token_urlsafe(48)
    execute_from_command_line(sys.argv)
