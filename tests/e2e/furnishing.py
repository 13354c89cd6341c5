"""A project in which everything has happened, with names and texts that would like to be run instead of read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.test import override_settings
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from deployments import services as deployments
from evaluation.models import Evaluation
from projects import sending
from projects.domain.permissions import Role
from projects.models import Delivery, Project, User, WebhookEndpoint
from projects.services import invitations, tokens, webhooks
from tests.factories import datasets, training
from tests.factories import deployments as reviews
from tests.factories import evaluation as evaluations
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import Run

SCRIPT = "<script>window.hit = 1</script>"
IMAGE = "<img src=x onerror='window.hit = 1'>"
LINK = "[click](javascript:window.hit=1) <a href='javascript:window.hit=1'>click</a>"
HOOK = "https://hooks.example.org/<script>"
BAD = [{"messages": [{"role": SCRIPT, "content": IMAGE}]}, {IMAGE: SCRIPT}, {"messages": SCRIPT}]


@dataclass
class Furnished:
    """The project, who looks at it, and the path of every page by a name of its own."""

    address: str
    project: Project
    owner: User
    paths: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, view: str, *args: object) -> None:
        self.paths[name] = reverse(view, args=[self.project.slug, *args])


@contextmanager
def folders(root: Path) -> Iterator[None]:
    """Files of its own for as long as the project is there."""
    own = {"WORK_DIR": "work", "CACHE_DIR": "cache", "MODELS_DIR": "models", "DEPLOY_DIR": "deployments"}
    places = {name: root / folder for name, folder in own.items()}
    for place in places.values():
        place.mkdir()
    local = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(root / "files")}}
    stores = settings.STORAGES | {"default": local}
    with override_settings(DATA_DIR=root, **places, STORAGES=stores, ENGINES=dict(settings.ENGINES)):
        yield


@contextmanager
def served() -> Iterator[str]:
    server = LiveServer("127.0.0.1")
    server._live_server_modified_settings.enable()
    try:
        yield server.url
    finally:
        server.stop()
        server._live_server_modified_settings.disable()


def furnish(address: str) -> Furnished:
    project = make_project(name=f"Routing {IMAGE}", slug="routing", description=SCRIPT + LINK)
    owner = make_member(project, Role.OWNER, name=f"Olive {SCRIPT}", email="olive@example.org")
    engineer = make_member(project, name=f"Emil {IMAGE}", email="emil@example.org")
    found = Furnished(address, project, owner)
    for name in ("project-overview", "cost-list", "settings-detail", "member-list", "token-list", "audit-list"):
        found.note(name, name)
    hook, _ = webhooks.create_endpoint(project, by=owner, url=HOOK, events=["*"], description=f"Chat {IMAGE}")
    tokens.create_token(project, by=owner, name=IMAGE)
    invitations.invite_member(project, by=owner, role=Role.VIEWER)
    bring_data(found, engineer)
    run = train(found, engineer)
    evaluation = evaluate(found, engineer, run)
    deploy(found, engineer, evaluation)
    tell(found, hook)
    found.note("lineage", "lineage")
    found.paths["lineage of one"] = f"{found.paths['lineage']}?focus=adapter:{run.adapter.pk}"
    return found


def tell(found: Furnished, hook: WebhookEndpoint) -> None:
    """What is told of all this; the receiver answers with markup, and what the owner hears of goes by mail."""
    for name in ("webhook-list", "webhook-create", "event-catalogue", "notification-settings"):
        found.note(name, name)
    sent = sending.claim(Delivery)
    sending.note(sent, sending.Result(False, "http_500", IMAGE, 500, SCRIPT + IMAGE + LINK, "192.0.2.1"), 12)
    found.note("webhook-detail", "webhook-detail", hook.pk)
    found.note("webhook-change", "webhook-change", hook.pk)
    found.note("webhook-delivery", "webhook-delivery", hook.pk, sent.pk)


def bring_data(found: Furnished, engineer: User) -> None:
    """A dataset with bad rows, findings and a leak; a golden set; a file that is no dataset at all."""
    project = found.project
    golden = datasets.make_dataset(project, engineer, "golden", name=f"Exam {SCRIPT}")
    exam = datasets.make_version(golden, datasets.tickets(40))
    dirty = datasets.make_dataset(project, engineer, name=f"Tickets {IMAGE}", description=SCRIPT + LINK)
    rows = [*BAD, *datasets.tickets(30, start=100), *datasets.tickets(5, start=100), *datasets.tickets(3)]
    rows += [datasets.chat(SCRIPT, IMAGE), datasets.chat(LINK, "")]
    upload = datasets.make_upload(dirty, datasets.jsonl(rows), name=f"{IMAGE}.jsonl")
    refused = datasets.make_upload(dirty, b"\x89PNG\r\n\x1a\n", name="photo.jsonl")
    found.note("dataset-list", "dataset-list")
    found.note("dataset-create", "dataset-create")
    found.note("dataset-detail", "dataset-detail", dirty.pk)
    found.note("golden set", "dataset-detail", golden.pk)
    found.note("upload-detail", "upload-detail", upload.pk)
    found.note("refused upload", "upload-detail", refused.pk)
    found.note("version-detail", "version-detail", upload.version.pk)
    found.note("golden version", "version-detail", exam.pk)
    found.note("row-detail", "row-detail", upload.version.pk, upload.version.rows - 2)


def train(found: Furnished, engineer: User) -> Run:
    """A run that succeeded, one that failed, and a draft."""
    project = found.project
    base = training.make_base(project, engineer, name=f"Base {IMAGE}")
    version = datasets.make_version(
        datasets.make_dataset(project, engineer, name=f"Clean {SCRIPT}"), datasets.tickets(20, start=1_000)
    )
    parts = {"base": base, "version": version}
    run = training.make_run(project, engineer, name=f"Run {SCRIPT}", **parts)
    failed = training.make_run(project, engineer, "fail", name=f"Failed {IMAGE}", **parts)
    draft = training.make_draft(project, engineer, name=f"Draft {IMAGE}", **parts)
    for name in ("base-list", "base-register", "run-list", "run-create", "adapter-list"):
        found.note(name, name)
    found.note("base-detail", "base-detail", base.pk)
    found.note("run-detail", "run-detail", run.pk)
    found.note("failed run", "run-detail", failed.pk)
    found.note("draft", "run-detail", draft.pk)
    found.note("adapter-detail", "adapter-detail", run.adapter.pk)
    return run


def evaluate(found: Furnished, engineer: User, run: Run) -> Evaluation:
    """The stand-in engine answers with half characters and markup."""
    retention = evaluations.make_retention(found.project, engineer)
    golden = found.project.datasets.get(purpose="golden").versions.get()
    evaluation = evaluations.run_evaluation(run.adapter, mode="odd", by=engineer, golden=golden, retention=retention)
    assert evaluation.state == "succeeded", evaluation.error_message
    found.note("evaluation-list", "evaluation-list")
    found.note("evaluation-create", "evaluation-create")
    found.note("evaluation-detail", "evaluation-detail", evaluation.pk)
    return evaluation


def deploy(found: Furnished, engineer: User, evaluation: Evaluation) -> None:
    """One request that went live, one that waits for a decision."""
    project, owner, adapter = found.project, found.owner, evaluation.adapter
    slots = [reviews.make_slot(project, f"{name} {IMAGE}", owner) for name in ("live", "next")]
    live, waiting = (
        reviews.make_request(adapter, slot, engineer, evaluation=evaluation, message=SCRIPT + LINK) for slot in slots
    )
    for request in (live, waiting):
        deployments.comment(request, by=owner, body=IMAGE + LINK)
    deployments.deploy_request(reviews.approve(live, owner), by=engineer)
    run_jobs()
    assert slots[0].deployments.get().live
    for name in ("deployment-list", "slot-create", "request-create"):
        found.note(name, name)
    found.note("slot-detail", "slot-detail", slots[0].pk)
    found.note("request-detail", "request-detail", waiting.pk)
    found.note("deployed request", "request-detail", live.pk)
