"""Check what must be true of the rows and files, whatever was killed. Exit status 1 names the rows that break it."""

import json
import sys

from django.core.management.base import BaseCommand

from projects import invariants


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON object instead of lines.")
        parser.add_argument(
            "--deep", action="store_true", help="Also read all bytes of stored files and the whole log."
        )

    def handle(self, *args, deep: bool, **options) -> None:
        broken = invariants.check(deep=deep)
        known = invariants.known()
        if options["json"]:
            self.stdout.write(json.dumps({"asked": len(known), "broken": invariants.as_json(broken)}))
        else:
            self._tell(known, {one.name: one for one in broken})
        if broken:
            sys.exit(1)

    def _tell(self, known: list[invariants.Invariant], broken: dict[str, invariants.Broken]) -> None:
        for one in known:
            self.stdout.write(f"{'BROKEN' if one.name in broken else 'holds '}  {one.name:<16} {one.sentence}")
            for row in broken[one.name].rows if one.name in broken else ():
                self.stdout.write(f"        {row}")
