"""A kind of background work that belongs to no app: a row, a table made for the test, and children of a few lines."""

import sys
from pathlib import Path
from types import SimpleNamespace

from django.db import models

from projects import jobs, leases
from projects.jobs import JobKind
from projects.models import LeasedJob, Project


class Toy(LeasedJob):
    """Work for tests. Its app is not installed, so no migration ever hears of it."""

    # Without a constraint, so that the product's tables can be emptied without knowing of this one.
    project = models.ForeignKey(Project, models.DO_NOTHING, related_name="+", db_constraint=False)
    name = models.CharField(max_length=50)
    product = models.TextField(blank=True)

    class Meta:
        app_label = "toys"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/toys/{self.pk}/"


SAY = """import json, os, signal, sys, time
def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)
"""


def make_kind(folder: Path, script: str = "say('result', answer=42)", **changes):
    """A kind whose child runs `script`, with what its hooks were told in `kind_heard`."""
    program = folder / "child.py"
    program.write_text(SAY + script)
    heard = SimpleNamespace(events=[], failed=[], after=[], pids=[])

    def on_event(job, event):
        heard.events.append(event)

    def complete(job, workdir, result):
        leases.fenced_update(job, product=str(result.get("answer")))

    hooks = {
        "prepare": lambda job, workdir: [sys.executable, str(program)],
        "on_event": on_event,
        "complete": complete,
        "failed": lambda job, code: heard.failed.append(code),
        "after": lambda job: heard.after.append(job.pk),
    }
    kind = JobKind(label=Toy._meta.label_lower, model=Toy, **({"queue": "cpu", "cause": "training"} | hooks | changes))
    jobs.register(kind)
    return kind, heard


def make_toy(project: Project, name: str = "toy") -> Toy:
    return Toy.objects.create(project=project, name=name)


def queued_toy(project: Project, **changes) -> Toy:
    toy = make_toy(project)
    leases.queue_job(toy, actor="anna@example.org", **changes)
    return toy
