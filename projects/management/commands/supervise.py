"""Take one claimed job to the end of its attempt. Started by a worker, not by hand."""

import signal

from django.core.management.base import BaseCommand

from projects import jobs, supervision
from projects.domain.states import JobState


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []  # every address and page would be loaded first: twice the time until a run starts

    def add_arguments(self, parser) -> None:
        parser.add_argument("label")
        parser.add_argument("pk", type=int)
        parser.add_argument("fence", type=int)

    def handle(self, *args, label: str, pk: int, fence: int, **options) -> None:
        signal.signal(signal.SIGTERM, lambda *_: supervision.stopping.set())
        kind = jobs.kind(label)
        job = kind.model.objects.filter(pk=pk, fence=fence, state=JobState.RUNNING).first()  # type: ignore[attr-defined]
        if job is None:
            self.stderr.write(f"{label} {pk} is no longer ours")
            return
        supervision.supervise(kind, job)
