"""Runs of many sizes on a private installation: services → supervisor → engine → record."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import installation

CACHE = Path(os.environ.get("LUTHIER_BENCH_CACHE", installation.ROOT / "var" / "bench"))
ADDRESS = "127.0.0.1:8196"
WIDER = """
import sys
from pathlib import Path
import torch
from transformers import AutoTokenizer
from training.engine import tiny
torch.manual_seed(1)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
tokenizer.chat_template = tiny.CHAT_TEMPLATE
tiny.save(tiny.make_model(tokenizer, hidden=320, layers=4), tokenizer, Path(sys.argv[2]))
"""
WORDS = ("please", "help", "me", "with", "my", "ticket", "about", "the", "invoice", "and", "a", "password", "reset")


@dataclass(frozen=True)
class Case:
    """One run: which model, which rows, which settings; `rehearse` first or not."""

    name: str
    base: str  # "narrow" or "wide"
    kind: str  # "sft" or "dpo"
    rows: int
    words: int  # median words of a question
    recipe: dict[str, Any] = field(default_factory=dict)
    rehearse: bool = False


PACKED = {"packing": True, "batch_size": 2, "max_length": 256}
CASES = (
    Case("200 short rows", "narrow", "sft", 200, 12, {"rank": 8}),
    Case("600 short rows", "narrow", "sft", 600, 12, {"rank": 16}),
    Case("300 long rows, 4 at once", "narrow", "sft", 300, 60, {"batch_size": 4}),
    Case(
        "400 short rows packed", "narrow", "sft", 400, 12, {"packing": True, "batch_size": 2, "max_length": 256}, True
    ),
    Case("60 pairs", "narrow", "dpo", 60, 12, {"batch_size": 4}, True),
    Case("wide: 120 short rows", "wide", "sft", 120, 12, {}, True),
    Case("wide: 80 long rows, 2 at once", "wide", "sft", 80, 60, {"batch_size": 2}),
    Case("160 long rows, 2 × 4", "narrow", "sft", 160, 60, {"batch_size": 2, "accumulation": 4}),
    Case("wide: 60 pairs", "wide", "dpo", 60, 12, {"batch_size": 2}),
    Case("300 mixed rows packed", "narrow", "sft", 300, 30, PACKED),
    Case("150 pairs, 8 at once", "narrow", "dpo", 150, 12, {"batch_size": 8}),
    Case("500 short rows, 16 at once", "narrow", "sft", 500, 12, {"batch_size": 16}),
    Case("wide: 200 short rows, rank 64, saved", "wide", "sft", 200, 12, {"rank": 64, "checkpoint_steps": 8}),
    Case("400 short rows, saved often", "narrow", "sft", 400, 12, {"checkpoint_steps": 10}),
)


def texts(rng: random.Random, words: int) -> str:
    count = min(110, max(3, round(rng.lognormvariate(0, 0.5) * words)))
    return " ".join(rng.choices(WORDS, k=count))


def rows(case: Case) -> list[dict[str, Any]]:
    rng = random.Random(f"{case.kind} {case.rows} {case.words}")
    made: list[dict[str, Any]] = []
    for number in range(case.rows):
        ask = {"role": "user", "content": f"{number} {texts(rng, case.words)}"}
        say = [{"role": "assistant", "content": texts(rng, case.words // 2)} for _ in range(2)]
        if case.kind == "dpo":
            made.append(
                {"prompt": [ask], "chosen": say[:1], "rejected": [{**say[1], "content": say[1]["content"] + " no"}]}
            )
        else:
            made.append({"messages": [ask, say[0]]})
    return made


class Bench:
    """The installation with its two models and whatever data the cases want."""

    def __init__(self) -> None:
        from django.conf import settings

        from projects.models import Project, User
        from training import services as training

        narrow = installation.base_folder(CACHE)
        self.owner = User.objects.create_user("owner@luthier.example", "not used to sign in")
        self.project = Project.objects.create(name="Projections", slug="projections")
        self.project.memberships.create(user=self.owner, role="owner")
        self.bases, self.versions = {}, dict[tuple[str, int, int], Any]()
        for name, folder in (("narrow", narrow), ("wide", wider(narrow))):
            shutil.copytree(folder, Path(settings.MODELS_DIR) / name)
            self.bases[name] = training.register_base(self.project, by=self.owner, name=name, source="local", path=name)
        for base in self.bases.values():
            self.done(base)

    def done(self, job: Any, seconds: float = 300) -> Any:
        if not installation.wait(job, seconds) or job.state != "succeeded":
            raise SystemExit(f"{job}: {job.state} {job.error_code} {job.error_message}\n{job.error_detail[-2000:]}")
        return job

    def version(self, case: Case) -> Any:
        from django.core.files.uploadedfile import SimpleUploadedFile

        from datasets_app import services as datasets

        key = (case.kind, case.rows, case.words)
        if key not in self.versions:
            name = " ".join(map(str, key))
            dataset = datasets.create_dataset(self.project, by=self.owner, name=name, purpose="training")
            content = "".join(json.dumps(row) + "\n" for row in rows(case)).encode()
            upload = datasets.accept_upload(dataset, by=self.owner, file=SimpleUploadedFile("rows.jsonl", content))
            self.versions[key] = self.done(upload).version
        return self.versions[key]

    def run(self, case: Case) -> dict[str, Any]:
        """Rehearse if the case says so, start, wait for its end and its record."""
        from training import selectors
        from training import services as training
        from training.models import ProjectionRecord

        recipe = {"method": case.kind, "epochs": 1, "max_length": 512, "learning_rate": 1e-3} | case.recipe
        parts = {"base": self.bases[case.base], "version": self.version(case), "recipe": recipe}
        run = training.create_run(self.project, by=self.owner, name=case.name, **parts)
        self.done(selectors.profile_for(run.dataset_version, run.base))
        if case.rehearse:
            self.done(training.rehearse_run(run, by=self.owner))
        self.done(training.start_run(run, by=self.owner))
        deadline = time.monotonic() + 60
        while not (record := ProjectionRecord.objects.filter(run=run).first()):
            if time.monotonic() > deadline:
                raise SystemExit(f"{run} left no record")
            time.sleep(0.2)
        found = {"name": case.name, "source": record.source, "level": record.level}
        return found | {"predicted": record.predicted, "actual": record.actual}


def wider(narrow: Path) -> Path:
    """The same tokenizer under a model of four wider layers, with random weights: speed does not depend on them."""
    folder = CACHE / "tiny-wider"
    if not (folder / "config.json").exists():
        subprocess.run([sys.executable, "-c", WIDER, str(narrow), str(folder)], cwd=installation.ROOT, check=True)
    return folder


def measure(*, only: int, seconds: float) -> dict[str, Any]:
    began, found = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="luthier-projections-") as folder:
        installation.prepare(Path(folder) / "data", ALLOWED_HOSTS="127.0.0.1")
        with installation.processes(ADDRESS):
            bench = Bench()
            for case in CASES[: only or None]:
                if time.monotonic() - began > seconds:
                    break
                found.append(bench.run(case))
                told = found[-1]
                band, actual = told["predicted"]["seconds"], told["actual"]["seconds"]
                print(
                    f"{case.name}: {told['source']}, {band['p10']:.1f} – {band['p90']:.1f} s, took {actual:.1f} s",
                    flush=True,
                )
    return {"runs": found}
