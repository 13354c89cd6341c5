"""Write every lifecycle as a Mermaid diagram into docs/states, from the tables that the code obeys."""

from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from projects.domain.machine import Machine

FOLDER = Path(settings.BASE_DIR) / "docs" / "states"


def lifecycles() -> dict[str, tuple[Machine[Any], list[str]]]:
    """Machines by name, each with the models that live by it."""
    found: dict[str, tuple[Machine[Any], list[str]]] = {}
    for model in apps.get_models():
        machine = getattr(model, "machine", None)
        if isinstance(machine, Machine):
            found.setdefault(machine.name, (machine, []))[1].append(model._meta.label)
    return found


def pages() -> dict[str, str]:
    """File name to text, of every lifecycle."""
    return {
        f"{name.replace('_', '-').replace(' ', '-')}.md": _page(name, machine, sorted(models))
        for name, (machine, models) in sorted(lifecycles().items())
    }


def _page(name: str, machine: Machine[Any], models: list[str]) -> str:
    title = name.replace("_", " ").capitalize()
    lived = ", ".join(f"`{model}`" for model in models)
    return (
        f"# {title}\n\n"
        f"Written by `make states` from the table in the code; do not edit. Lived by {lived}.\n\n"
        f"```mermaid\n{machine.mermaid()}```\n"
    )


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser) -> None:
        parser.add_argument("--check", action="store_true", help="Write nothing; fail when a diagram is stale.")

    def handle(self, *args, check: bool, **options) -> None:
        wanted = pages()
        present = {path.name: path.read_text() for path in FOLDER.glob("*.md")} if FOLDER.exists() else {}
        stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        if check and stale:
            raise CommandError(f"Stale: {', '.join(stale)}. Run `make states`.")
        if not check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            for name in stale:
                self._write(FOLDER / name, wanted.get(name))
        self.stdout.write(f"{len(wanted)} lifecycles, {len(stale)} changed")

    def _write(self, path: Path, text: str | None) -> None:
        if text is None:
            path.unlink()  # a lifecycle that is gone
        else:
            path.write_text(text)
