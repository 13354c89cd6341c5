"""Settings of the tests: the product's own, with jobs supervised inline and nothing sent to a broker."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("DEBUG", "1")

from config.settings.base import *  # noqa: F403
from config.settings.base import REST_FRAMEWORK, STORAGES, env

DEBUG = False
DATA_DIR = Path(tempfile.mkdtemp(prefix="luthier-test-"))
WORK_DIR, CACHE_DIR = DATA_DIR / "work", DATA_DIR / "cache"
MODELS_DIR, DEPLOY_DIR = DATA_DIR / "models", DATA_DIR / "deployments"
DATABASES = {"default": env.database(f"sqlite:///{DATA_DIR / 'test.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: a live server and child processes must see the same rows.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    # Nothing of these databases outlives a loss of power.
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
else:
    DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c synchronous_commit=off"
STORAGES = STORAGES | {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "files")},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # sign-in in tests need not be slow
SUPERVISE_INLINE = True
SEND_WAKE_UPS = False
NVIDIA_SMI = "no-such-nvidia-smi"  # the cards of whoever runs the tests are not part of them
REST_FRAMEWORK = REST_FRAMEWORK | {"TEST_REQUEST_DEFAULT_FORMAT": "json"}
