"""Typed readers of the environment: every setting that an operator may change is read here."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()


def flag(name: str, default: bool) -> bool:
    return env.bool(name, default=default)


def text(name: str, default: str = "") -> str:
    return env.str(name, default=default)


def number(name: str, default: int) -> int:
    return env.int(name, default=default)


def seconds(name: str, default: float) -> float:
    return env.float(name, default=default)


def words(name: str, default: list[str]) -> list[str]:
    return env.list(name, default=default)


def folder(name: str, default: Path) -> Path:
    return Path(env.str(name, default=str(default))).expanduser().resolve()


def database(default: str) -> dict:
    """`DATABASE_URL` as Django wants it. SQLite gets WAL and immediate transactions, so that writers queue up."""
    config = dict(env.db_url("DATABASE_URL", default=default))
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
        }
        return config
    config["CONN_MAX_AGE"] = 60
    config["CONN_HEALTH_CHECKS"] = True
    return config


MAIL_BACKENDS = {
    "console": "console",
    "file": "filebased",
    "memory": "locmem",
    "smtp": "smtp",
    "smtp+tls": "smtp",
    "smtp+ssl": "smtp",
}


def email(default: str) -> dict:
    """`EMAIL_URL`: `smtp+tls://user:password@host:587`, `smtp+ssl://…:465`, `smtp://`, `file:///folder`, `console://`."""
    parts = urlparse(env.str("EMAIL_URL", default=default))
    if parts.scheme not in MAIL_BACKENDS or (parts.scheme.startswith("smtp") and not parts.hostname):
        raise ImproperlyConfigured(f"EMAIL_URL must be one of {', '.join(MAIL_BACKENDS)}, with a host for smtp.")
    return {
        "BACKEND": f"django.core.mail.backends.{MAIL_BACKENDS[parts.scheme]}.EmailBackend",
        "HOST": parts.hostname or "localhost",
        "PORT": parts.port or {"smtp+tls": 587, "smtp+ssl": 465}.get(parts.scheme, 25),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "TLS": parts.scheme == "smtp+tls",
        "SSL": parts.scheme == "smtp+ssl",
        "FOLDER": parts.path or None,
    }


def secret_key(data_folder: Path, default: str) -> str:
    """`SECRET_KEY`, else the key that the first run wrote into the data folder, else the default (debug only)."""
    path = data_folder / "secret_key"
    if "SECRET_KEY" not in os.environ and path.exists():
        return path.read_text().strip()
    return text("SECRET_KEY", default)


def broker_socket(data_folder: Path) -> Path:
    """Where the embedded broker listens. A socket's path has at most 107 bytes, so a deep folder gets a short one."""
    path = data_folder / "broker.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    name = hashlib.sha256(os.fsencode(data_folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"luthier-{os.getuid()}-{name}" / "broker.sock"


@dataclass(frozen=True)
class Broker:
    """A broker address and what Celery's transport needs to know about it."""

    url: str
    options: dict

    @property
    def is_amqp(self) -> bool:
        return self.url.startswith("amqp")


def broker(default: str) -> Broker:
    url = env.str("CELERY_BROKER_URL", default=default)
    if url.startswith("amqp"):
        # Without confirms a broker that dies loses what it was just given.
        return Broker(url, {"confirm_publish": True})
    if url.startswith(("redis", "rediss")):
        return Broker(
            url,
            {
                "visibility_timeout": 300,
                # Kombu looks for unacknowledged messages every interval x throttle seconds.
                "unacked_restore_interval": 2,
                "unacked_restore_throttle": 1,
                "socket_connect_timeout": 5,
                "socket_keepalive": not url.startswith("redis+socket"),
            },
        )
    raise ImproperlyConfigured(
        f"CELERY_BROKER_URL must be redis://, rediss://, redis+socket:// or amqp://, not {url!r}."
    )


def storage(default_folder: Path) -> dict:
    """`STORAGE_URL`: `file:///folder` or `s3://bucket/prefix?endpoint=…&region=…`."""
    url = env.str("STORAGE_URL", default="")
    if not url:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(default_folder)},
        }
    parts = urlparse(url)
    if parts.scheme == "file":
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": parts.path}}
    if parts.scheme != "s3":
        raise ImproperlyConfigured(f"STORAGE_URL must be file:// or s3://, not {parts.scheme}://.")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    options = {
        "bucket_name": parts.netloc,
        "location": parts.path.strip("/"),
        "endpoint_url": query.get("endpoint"),
        "region_name": query.get("region"),
        "file_overwrite": True,
        "default_acl": None,
    }
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {k: v for k, v in options.items() if v is not None},
    }
