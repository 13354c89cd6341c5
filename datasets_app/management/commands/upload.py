"""python manage.py upload PROJECT DATASET FILE… — brings files that lie on this machine into a dataset."""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.management.base import BaseCommand, CommandError

from datasets_app import services
from datasets_app.domain.formats.base import Format
from datasets_app.models import Dataset, Upload
from projects.domain.errors import Refused
from projects.domain.formatting import number, size
from projects.models import Membership, User


class Command(BaseCommand):
    help = "Bring files into a dataset, as a member of its project, and say what became of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="Slug of the project, as it stands in its address.")
        parser.add_argument("dataset", help="Name or number of the dataset.")
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--by", default="", help="E-mail of the member who brings them; default: the first owner.")
        parser.add_argument("--format", default="", choices=["", *Format], help="Default: detected.")
        parser.add_argument("--mapping", default="", help='JSON: {"columns": {theirs: ours}, "roles": {…}}')
        parser.add_argument("--provenance", default="", help='JSON: {"origin": "human", "licence": "CC-BY-4.0"}')
        parser.add_argument("--hold", action="store_true", help="Wait with the version when rows are bad.")
        parser.add_argument("--mends", type=int, help="Number of an upload with a version in the making.")
        parser.add_argument("--no-wait", action="store_true", help="Do not wait until the files are read.")
        parser.add_argument("--json", action="store_true", help="One JSON object a file.")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["project"], options["dataset"])
        by = self.member(dataset, options["by"])
        said = {
            "forced_format": options["format"],
            "mapping": self.parsed("mapping", options["mapping"]),
            "provenance": self.parsed("provenance", options["provenance"]),
            "hold": options["hold"],
            "mends": options["mends"],
        }
        uploads = [self.bring(dataset, by, path, said) for path in options["files"]]
        failed = 0
        for upload in uploads:
            if not options["no_wait"]:
                self.wait_for(upload)
            failed += upload.state in ("failed", "cancelled")
            self.stdout.write(self.as_json(upload) if options["json"] else self.in_words(upload))
        if failed:
            raise CommandError(f"{failed} of {len(uploads)} files became no version.")

    def dataset(self, project: str, name: str) -> Dataset:
        known = Dataset.objects.filter(project__slug=project).select_related("project")
        found = known.filter(name=name).first() or (known.filter(pk=int(name)).first() if name.isdigit() else None)
        if found is None:
            names = ", ".join(known.values_list("name", flat=True)[:20]) or "none"
            raise CommandError(f"There is no dataset “{name}” in the project “{project}”. It has: {names}.")
        return found

    def member(self, dataset: Dataset, email: str) -> User:
        members = Membership.objects.filter(project=dataset.project).select_related("user").order_by("pk")
        found = members.filter(user__email=email).first() if email else members.filter(role="owner").first()
        if found is None:
            raise CommandError(
                f"“{email}” is no member of this project." if email else "Say with --by who brings them."
            )
        return found.user

    def parsed(self, name: str, text: str) -> Any:
        try:
            return json.loads(text) if text else {}
        except ValueError as error:
            raise CommandError(f"--{name} is not JSON: {error}.") from error

    def bring(self, dataset: Dataset, by: User, path: Path, said: dict[str, Any]) -> Upload:
        try:
            with path.open("rb") as file:
                return services.accept_upload(dataset, by=by, file=File(file, name=path.name), **said)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except Refused as refused:
            raise CommandError(f"{path.name}: {refused.message}") from refused

    def wait_for(self, upload: Upload) -> None:
        while not upload.is_over:
            time.sleep(0.5)
            upload.refresh_from_db()

    def as_json(self, upload: Upload) -> str:
        said = {name: getattr(upload, name) for name in ("file_name", "state", "rows_good", "rows_bad", "bad_codes")}
        more = {"version": upload.version.number if upload.version else None, "error_code": upload.error_code}
        return json.dumps({"upload": upload.pk, **said, **more, "in_the_making": upload.is_in_the_making})

    def in_words(self, upload: Upload) -> str:
        start = f"{upload.file_name} ({size(upload.size)}), upload {upload.pk}: "
        if upload.version:
            end = f"version {upload.version.number}, {number(upload.rows_good)} good rows"
        elif upload.is_in_the_making:
            end = f"{number(upload.rows_good)} good rows wait for the bad ones to be mended"
        elif upload.state == "succeeded":
            end = f"{number(upload.rows_good)} rows joined upload {upload.mends_id}"
        else:
            end = upload.error_message or upload.state
        return start + end + (f", {number(upload.rows_bad)} bad" if upload.rows_bad else "")
