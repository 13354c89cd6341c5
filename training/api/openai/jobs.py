"""/v1/fine_tuning/jobs: ordering, watching, stopping."""

from typing import Any

from django.utils import timezone
from rest_framework.response import Response

from projects.api.views import Idempotent
from projects.domain.errors import Invalid
from training.api.openai import orders, shapes
from training.api.openai.base import OpenAIViewSet, found, listed, page
from training.domain import finetuning
from training.models import FineTuningJob
from training.selectors import finetuning as reading
from training.services import finetuning as services


class JobViewSet(Idempotent, OpenAIViewSet):
    services = {
        "create": services.create_job,
        "cancel": services.cancel_job,
        "pause": services.pause_job,
        "resume": services.resume_job,
    }

    @property
    def known_filters(self) -> tuple[str, ...]:  # type: ignore[override]
        """Lists are paged; jobs may also be asked for by metadata[key]."""
        if self.action == "list":
            return ("after", "limit", *(name for name in self.request.query_params if _metadata_key(name)))
        return ("after", "limit") if self.action in {"events", "checkpoints"} else ()

    def create(self, request: Any, **kwargs: Any) -> Response:
        fields = orders.read(request.data)

        def make() -> Response:
            return self.shown(self.services["create"](self.project, by=request.user, **fields))

        return self.create_once(request, make)

    def list(self, request: Any, **kwargs: Any) -> Response:
        wanted = {key: value for name, value in request.query_params.items() if (key := _metadata_key(name))}
        rows = reading.jobs(self.project).values_list("pk", "metadata")
        ids = [f"ftjob-{pk}" for pk, metadata in rows if wanted.items() <= metadata.items()]
        chosen, more = page(request, ids, usual=20)
        jobs = reading.jobs(self.project).in_bulk([finetuning.read_id(one, "ftjob") for one in chosen])
        now = timezone.now()
        return listed([shapes.job_object(jobs[int(one[6:])], now) for one in chosen], more)

    def retrieve(self, request: Any, job_id: str, **kwargs: Any) -> Response:
        return self.shown(self.job(job_id))

    def cancel(self, request: Any, job_id: str, **kwargs: Any) -> Response:
        return self.done(request, job_id)

    def pause(self, request: Any, job_id: str, **kwargs: Any) -> Response:
        return self.done(request, job_id)

    def resume(self, request: Any, job_id: str, **kwargs: Any) -> Response:
        return self.done(request, job_id)

    def done(self, request: Any, job_id: str) -> Response:
        if request.data:
            raise Invalid("This call takes no body.", code="unknown_parameter")
        return self.shown(self.services[str(self.action)](self.job(job_id), by=request.user))

    def events(self, request: Any, job_id: str, **kwargs: Any) -> Response:
        """What happened, the newest first."""
        told = {event.id: event for event in reading.events(self.job(job_id))}
        chosen, more = page(request, list(told), usual=20, most=1000)
        return listed([shapes.event_object(told[one]) for one in chosen], more)

    def checkpoints(self, request: Any, job_id: str, **kwargs: Any) -> Response:
        job = self.job(job_id)
        shown = {one["id"]: one for one in (shapes.checkpoint_object(job, point) for point in reading.points(job))}
        chosen, more = page(request, list(shown), usual=10)
        return listed([shown[one] for one in chosen], more)

    def job(self, job_id: str) -> FineTuningJob:
        number = finetuning.read_id(job_id, "ftjob") or 0
        return found(reading.jobs(self.project).filter(pk=number).first(), "fine-tuning job", job_id)

    def shown(self, job: FineTuningJob) -> Response:
        return Response(shapes.job_object(reading.jobs(self.project).get(pk=job.pk), timezone.now()))


def _metadata_key(name: str) -> str:
    return name[9:-1] if name.startswith("metadata[") and name.endswith("]") else ""
