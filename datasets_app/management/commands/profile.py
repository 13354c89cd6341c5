"""Read and profile a file as an upload is read, and say what was found; the last line is one JSON object.

python manage.py profile FILE [--against GOLDEN] [--tokenizer DIR] [--truth CSV] [--json]
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from datasets_app.domain.codes import explain
from datasets_app.domain.findings import Found, about
from datasets_app.ingest.children import command as child_command

Event = dict[str, Any]
GOLDEN_ID = 1
STEPS = ("parse", "exact", "near", "tokens", "diversity", "pii")


class Unread(Exception):
    """A file that cannot be used; nothing of it has been profiled."""

    def __init__(self, file: Path, last: Event) -> None:
        message = last.get("message") or explain(last["code"]).title
        self.said = {"file": file.name, "error": last["code"], "message": message}
        super().__init__(message)


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []  # it opens no page and asks no database

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--against", type=Path, help="a golden set that must not be in it")
        parser.add_argument("--tokenizer", type=Path, help="a folder with tokenizer.json: counts tokens")
        parser.add_argument("--truth", type=Path, help="the table that make bench-data writes beside a file")
        parser.add_argument("--json", action="store_true", help="nothing but the last line")

    def handle(self, *args, **options) -> None:
        for name in ("file", "against", "tokenizer", "truth"):
            if options[name] is not None and not options[name].exists():
                raise CommandError(f"There is no {options[name]}.")
        with tempfile.TemporaryDirectory(prefix="profile-") as folder:
            try:
                found = self._profiled(Path(folder), options)
            except Unread as unread:
                self.stdout.write(orjson.dumps(unread.said).decode())
                raise CommandError(unread.said["message"]) from unread
        if not options["json"]:
            self._tell(found)
        self.stdout.write(orjson.dumps(found).decode())

    def _profiled(self, folder: Path, options: dict[str, Any]) -> Event:
        golden = []
        if options["against"] is not None:
            made, *_ = self._read(folder / "golden", options["against"], purpose="golden")
            golden = [{"id": GOLDEN_ID, "path": str(made / "rows.parquet")}]
        tokenizer = str(options["tokenizer"].resolve()) if options["tokenizer"] else None
        from datasets_app.engine import truth

        out, result, total, wall = self._read(
            folder / "file", options["file"], purpose="training", golden=golden, tokenizer=tokenizer
        )
        quality = truth.near_quality(out, options["truth"]) if options["truth"] else {}
        return said(out, result, total, wall) | quality | {"findings": result["findings"]}

    def _read(self, folder: Path, file: Path, **spec: Any) -> tuple[Path, Event, float, float]:
        """(folder of the rows, what the child said last, its CPU seconds, seconds): the very child a worker starts."""
        folder.mkdir()
        spec = {"task": "upload", "source": [str(file.resolve())], "file_name": file.name, **spec}
        began, last = time.monotonic(), Event()
        with subprocess.Popen(child_command(folder, spec), stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for line in child.stdout:
                last = orjson.loads(line)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        if last.get("event") != "result":
            raise Unread(file, last if last.get("event") == "failed" else {"code": "crashed"})
        return folder / "out", last, usage.ru_utime + usage.ru_stime, wall

    def _tell(self, found: Event) -> None:
        write = self.stdout.write
        write(f"{found['rows']:,} rows: {found['good']:,} good, {found['bad']:,} kept aside")
        for code, count in sorted(found["bad_codes"].items(), key=lambda pair: -pair[1]):
            write(f"  {count:>9,}  {code:<24} {explain(code).title}")
        write(f"{len(found['findings'])} findings")
        for one in found["findings"]:
            write(f"  {one['count']:>9,}  {one['severity']:<8} {about(one['code']).title}")
        if found["near_recall"] is not None:
            write(f"Near duplicates: recall {found['near_recall']:.4f}, precision {found['near_precision']:.4f}")
        spent = ", ".join(f"{step} {seconds:.2f}" for step, seconds in found["cpu_s"].items())
        write(f"CPU seconds: {spent}; {found['wall_s']:.2f} s of wall time; at most {found['peak_mb']} MB")


def said(out: Path, result: Event, total: float, wall: float) -> Event:
    """The figures of the last line. What has no step of its own is in the total: starting, structure, writing."""
    from datasets_app.engine.truth import lines_of

    counts = {found["code"]: found["count"] for found in result["findings"]}
    overlaps = (result["stats"].get("overlaps") or {}).get(str(GOLDEN_ID)) or {}
    return {
        "rows": result["rows_good"] + result["rows_bad"],
        "good": result["rows_good"],
        "bad": result["rows_bad"],
        "bad_codes": result["bad_codes"],
        "cpu_s": {**{step: result["cpu_s"].get(step, 0.0) for step in STEPS}, "total": round(total, 3)},
        "wall_s": round(wall, 3),
        "peak_mb": result["peak_mb"],
        "exact_duplicates": counts.get(Found.EXACT_DUPLICATES.value, 0),
        "near_duplicates": counts.get(Found.NEAR_DUPLICATES.value, 0),
        "near_recall": None,
        "near_precision": None,
        "pii_rows": len(lines_of(out, Found.PERSONAL_DATA.value) | lines_of(out, Found.SECRETS.value)),
        "contaminated": sum(overlaps.get(kind, 0) for kind in ("exact", "normalised", "near", "ngram")),
    }
