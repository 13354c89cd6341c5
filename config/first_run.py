"""What `make run` does before it serves: a secret key of its own, the tables, the static files, and the first owner."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def secret_key(data: Path) -> str:
    """The key in the data folder; made once, readable by its owner only."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / "secret_key"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50))
    return path.read_text().strip()


def data_folder() -> Path:
    return Path(os.environ.get("LUTHIER_DATA", ROOT / "var")).expanduser().resolve()


def prepare() -> None:
    """Make the key that the settings read, then bring tables and static files up to date."""
    secret_key(data_folder())
    for command in (["migrate", "--verbosity", "0"], ["collectstatic", "--noinput", "--verbosity", "0"]):
        subprocess.run([sys.executable, str(ROOT / "manage.py"), *command], cwd=ROOT, check=True)


def invite() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    django.setup()
    from projects.models import User

    if not User.objects.exists():
        print("No account yet. Make the first one with: .venv/bin/python manage.py create_owner you@example.org")


if __name__ == "__main__":
    prepare()
    invite()
