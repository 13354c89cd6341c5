"""The official client with nothing changed but its address and key, against a live server and real background work."""

import pytest

from projects import contributions, reconciler
from projects.domain.permissions import Role
from projects.services import tokens
from tests.factories import training as factory
from tests.factories.datasets import jsonl, tickets
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import FineTuningJob

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("quick_children"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _library():
    """Its thousand modules are imported by a worker that has one of these tests, not by every collection."""
    global openai  # noqa: PLW0603
    import openai


class World:
    """A project with a base, its engineer's client, and the background work driven by hand."""

    def __init__(self, server, settings) -> None:
        settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}
        self.project = make_project()
        self.by = make_member(self.project, Role.ENGINEER)
        self.base = factory.make_base(self.project, self.by)
        self.server = server
        self.client = self.client_of(self.by)

    def client_of(self, user, project=None, scope="write", project_header=None):
        _, key = tokens.create_token(project or self.project, by=user, name="script", scope=scope)
        address = f"{self.server.url}/openai/v1"
        return openai.OpenAI(api_key=key, base_url=address, max_retries=0, project=project_header)

    def file(self, rows=None, name="tickets.jsonl"):
        content = rows if isinstance(rows, bytes) else jsonl(tickets(20) if rows is None else rows)
        return self.client.files.create(file=(name, content), purpose="fine-tune")

    def job(self, file, **more):
        order = {"model": self.base.name, "training_file": file.id} | more
        return self.client.fine_tuning.jobs.create(**order)

    def drive(self) -> None:
        """Until nothing waits any more, as worker and beat would."""
        for _ in range(10):
            if not run_jobs() + reconciler.sweep()["swept"]:
                return


@pytest.fixture
def world(live_server, settings):
    made = World(live_server, settings)
    with made.client:
        yield made


def test_from_a_file_to_a_model_that_is_trained_further(world):
    client, jobs = world.client, world.client.fine_tuning.jobs
    file = world.file()
    assert (file.status, file.purpose, file.filename) == ("uploaded", "fine-tune", "tickets.jsonl")
    method = {"type": "supervised", "supervised": {"hyperparameters": {
        "n_epochs": 2, "batch_size": 12, "learning_rate_multiplier": 0.5}}}  # fmt: skip
    job = world.job(file, method=method, suffix="router", seed=7, metadata={"team": "desk"})
    assert (job.status, job.hyperparameters.n_epochs, job.fine_tuned_model) == ("validating_files", 2, None)

    world.drive()

    job = jobs.retrieve(job.id)
    assert (job.status, job.error) == ("succeeded", None)
    assert (job.seed, job.metadata, job.trained_tokens > 0) == (7, {"team": "desk"}, True)
    run = FineTuningJob.objects.get().run
    assert job.fine_tuned_model == f"ft:{world.base.name}:{world.project.slug}:router:a{run.adapter.pk}"
    recipe = run.recipe
    assert (recipe["batch_size"] * recipe["accumulation"], recipe["epochs"], recipe["learning_rate"]) == (12, 2, 1e-4)
    assert job.hyperparameters.learning_rate_multiplier == 0.5
    assert recipe["max_length"] <= world.base.context_length and run.launched_with["rows_cut"] == 0

    events = list(jobs.list_events(job.id, limit=3))
    assert len(events) > 6 and len({event.id for event in events}) == len(events), "all pages, nothing twice"
    texts = [event.message for event in events]
    assert texts[0].startswith("New fine-tuned model created: ft:") and texts[-1].startswith("Created fine-tuning job")
    losses = [event for event in events if event.type == "metrics"]
    assert losses and all(event.data["train_loss"] > 0 for event in losses)

    (results,) = job.result_files
    table = client.files.content(results).text.splitlines()
    assert table[0].startswith("step,train_loss") and len(table) > 2
    assert client.files.retrieve(results).purpose == "fine-tune-results"
    (point,) = jobs.checkpoints.list(job.id).data
    assert (point.fine_tuned_model_checkpoint, point.step_number) == (job.fine_tuned_model, run.step)

    assert {world.base.name, job.fine_tuned_model} <= {model.id for model in client.models.list()}
    assert client.models.retrieve(job.fine_tuned_model).owned_by == world.project.slug
    further = world.job(file, model=job.fine_tuned_model, suffix="router-2")
    world.drive()
    further = jobs.retrieve(further.id)
    assert further.status == "succeeded", further.error
    assert FineTuningJob.objects.latest("pk").run.parent_adapter == run.adapter


def test_a_validation_file_is_looked_at_and_told(world):
    jobs = world.client.fine_tuning.jobs
    file, held_out = world.file(), world.file(tickets(10, start=100), "held-out.jsonl")
    job = world.job(file, validation_file=held_out.id)
    assert job.validation_file == held_out.id

    world.drive()

    job = jobs.retrieve(job.id)
    assert (job.status, job.error, job.validation_file) == ("succeeded", None, held_out.id)
    run = FineTuningJob.objects.get().run
    assert run.validation_version.rows == 10 and run.dataset_version.rows == 20
    events = list(jobs.list_events(job.id))
    assert "file-" in events[-1].message and held_out.id in events[-1].message
    looks = {event.data["step"]: event for event in events if event.type == "metrics" and "valid_loss" in event.data}
    assert {step: event.data["valid_loss"] for step, event in looks.items()} == {0: 2.2, 1: 1.9, 2: 1.7, 5: 1.6}
    assert looks[5].message == "Step 5/5: training loss=0.4, validation loss=1.6"
    assert looks[0].message == "Step 0/5: validation loss=2.2"
    assert looks[5].data["full_valid_loss"] == 1.6 and looks[5].data["valid_mean_token_accuracy"] == 0.25
    (point,) = jobs.checkpoints.list(job.id).data
    assert (point.metrics.valid_loss, point.metrics.full_valid_loss) == (1.6, 1.6)
    assert point.metrics.full_valid_mean_token_accuracy == 0.25
    (results,) = job.result_files
    table = world.client.files.content(results).text.splitlines()
    assert table[0] == "step,train_loss,valid_loss,valid_mean_token_accuracy"
    assert table[1] == "0,,2.2,0.25" and table[-1] == "5,0.4,1.6,0.25"

    assert world.client.files.delete(held_out.id).deleted
    assert run.validation_version.rows == 10, "the rows stay, since a run was looked at with them"


def test_a_job_without_a_validation_file_says_so(world):
    job = world.job(world.file())
    world.drive()
    assert world.client.fine_tuning.jobs.retrieve(job.id).validation_file is None
    (point,) = world.client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert point.metrics.valid_loss is None and point.metrics.full_valid_loss is None


def test_of_a_part_of_the_validation_rows_the_full_loss_is_not_told(world):
    job = world.job(world.file(), validation_file=world.file(tickets(10, start=100)).id)
    world.drive()
    run = FineTuningJob.objects.get().run
    run.report["validation"]["rows"] = 7
    run.save()
    (point,) = world.client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert (point.metrics.valid_loss, point.metrics.full_valid_loss) == (1.6, None)


def test_validation_files_that_cannot_be_used_are_refused_in_their_shape(world):
    file = world.file()
    stranger = World(world.server, type("Settings", (), {"ENGINES": {}})())
    foreign = stranger.file()
    for wanted in ("file-999999", foreign.id):
        with pytest.raises(openai.NotFoundError) as missing:
            world.job(file, validation_file=wanted)
        assert (missing.value.param, missing.value.code) == ("validation_file", "file_not_found")
    for wanted, code in ((file.id, "same_as_training"), ("file-results-1", "invalid_file_purpose")):
        with pytest.raises(openai.BadRequestError) as refused:
            world.job(file, validation_file=wanted)
        error = refused.value
        assert (error.param, error.code, error.type) == ("validation_file", code, "invalid_request_error")
    assert not FineTuningJob.objects.exists()


def test_a_validation_file_with_bad_rows_or_of_another_kind_fails_the_job(world):
    jobs, file = world.client.fine_tuning.jobs, world.file()
    bad = world.file(jsonl(tickets(5, start=50)) + b'{"messages": []}\n', "bad.jsonl")
    text = world.file([{"text": f"please help {n}"} for n in range(5)], "texts.jsonl")
    pair = {
        "input": {"messages": [{"role": "user", "content": "please help"}]},
        "preferred_output": [{"role": "assistant", "content": "billing"}],
        "non_preferred_output": [{"role": "assistant", "content": "no"}],
    }
    pairs, same = world.file([pair], "pairs.jsonl"), world.file(name="again.jsonl")
    ordered = {name: world.job(file, validation_file=one.id) for name, one in
               {"bad": bad, "pairs": pairs, "same": same, "text": text}.items()}  # fmt: skip
    world.drive()

    found = {name: jobs.retrieve(job.id) for name, job in ordered.items()}
    assert found.pop("text").status == "succeeded", "SFT reads plain text, too"
    assert {job.status for job in found.values()} == {"failed"}
    assert {job.error.param for job in found.values()} == {"validation_file"}
    assert (found["pairs"].error.code, found["same"].error.code) == ("wrong_kind", "same_as_training")
    assert "line 6" in found["bad"].error.message


def test_a_job_is_cancelled_paused_and_resumed(world, monkeypatch):
    monkeypatch.setattr(contributions, "ended", [])  # else it would be over before anybody could pause it
    jobs = world.client.fine_tuning.jobs
    file = world.file()
    early = world.job(file)
    assert jobs.cancel(early.id).status == "cancelled"
    with pytest.raises(openai.ConflictError) as refused:
        jobs.pause(early.id)
    assert refused.value.code == "not_running"

    run_jobs()
    job = world.job(file)
    run_jobs()
    reconciler.sweep()
    assert jobs.retrieve(job.id).status == "queued"
    assert jobs.pause(job.id).status == "paused"
    assert jobs.resume(job.id).status == "queued"
    assert jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(openai.ConflictError):
        jobs.cancel(job.id)
    assert "Fine-tuning job paused" in [event.message for event in jobs.list_events(job.id)]


def test_preferences_are_trained_with_dpo(world):
    pairs = [
        {
            "input": {"messages": [{"role": "user", "content": f"ticket {n} please help"}]},
            "preferred_output": [{"role": "assistant", "content": "billing"}],
            "non_preferred_output": [{"role": "assistant", "content": f"no {n}"}],
        }
        for n in range(20)
    ]
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": "auto"}}}

    job = world.job(world.file(pairs), method=method)
    world.drive()

    job = world.client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job.error
    assert (job.method.type, job.method.dpo.hyperparameters.beta) == ("dpo", 0.2)
    assert FineTuningJob.objects.get().run.recipe["beta"] == 0.2


def test_a_bad_line_fails_the_job_with_its_number_and_code(world):
    rows = jsonl(tickets(500)).splitlines(keepends=True)
    rows[416] = b'{"messages": [{"role": "user", "content": "no answer"}]}\n'
    job = world.job(world.file(b"".join(rows)))

    world.drive()

    job = world.client.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.error.param) == ("failed", "training_file")
    assert "1 row of tickets.jsonl cannot be read; the first is line 417: " in job.error.message
    assert job.error.code in job.error.message
    file = world.client.files.retrieve(job.training_file)
    assert (file.status, "line 417" in file.status_details) == ("error", True)
    assert next(iter(world.client.fine_tuning.jobs.list_events(job.id))).level == "error"


def test_a_file_of_the_wrong_kind_fails_the_job(world):
    job = world.job(world.file(), method={"type": "dpo", "dpo": {}})
    world.drive()

    job = world.client.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.error.code) == ("failed", "wrong_kind")


def test_files_are_listed_read_and_deleted(world):
    files = world.client.files
    made = [world.file(name=f"part {n}.jsonl", rows=tickets(3, start=n)) for n in range(5)]
    run_jobs()

    assert [file.id for file in files.list(limit=2)] == [file.id for file in made[::-1]]
    first = files.list(limit=2)
    assert (len(first.data), first.has_more) == (2, True)
    assert [file.id for file in files.list(order="asc", purpose="fine-tune")] == [file.id for file in made]
    assert files.content(made[0].id).read() == jsonl(tickets(3, start=0))
    assert files.retrieve(made[0].id).status == "processed"

    gone = files.delete(made[0].id)
    assert (gone.deleted, gone.id) == (True, made[0].id)
    with pytest.raises(openai.NotFoundError):
        files.retrieve(made[0].id)
    assert made[0].id not in [file.id for file in files.list()]


def test_a_file_that_was_trained_on_goes_and_its_run_stays(world):
    job = world.job(world.file())
    world.drive()

    assert world.client.files.delete(job.training_file).deleted
    with pytest.raises(openai.NotFoundError):
        world.client.files.content(job.training_file)
    assert world.client.fine_tuning.jobs.retrieve(job.id).status == "succeeded"


def test_jobs_are_listed_by_page_and_metadata(world):
    file = world.file()
    made = [world.job(file, metadata={"n": str(n % 2)}) for n in range(5)]
    jobs = world.client.fine_tuning.jobs

    assert [job.id for job in jobs.list(limit=2)] == [job.id for job in made[::-1]]
    assert [job.id for job in jobs.list(metadata={"n": "1"})] == [made[3].id, made[1].id]


WRONG = {
    "an unknown model": ({"model": "gpt-4o"}, "model", "model_not_found"),
    "a name that is nearly that of an adapter": ({"model": "ft:x:y:z:a1"}, "model", "model_not_found"),
    "an unknown parameter": ({"extra_body": {"colour": 1}}, "colour", "unknown_parameter"),
    "an unknown hyperparameter": (
        {"hyperparameters": {"n_epoch": 3}}, "hyperparameters.n_epoch", "unknown_parameter"
    ),
    "a value out of range": (
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}},
        "method.supervised.hyperparameters.n_epochs", "invalid_value",
    ),
    "half an epoch": ({"hyperparameters": {"n_epochs": 1.5}}, "hyperparameters.n_epochs", "invalid_value"),
    "beta without dpo": ({"hyperparameters": {"beta": 0.1}}, "hyperparameters.beta", "unknown_parameter"),
    "reinforcement": ({"method": {"type": "reinforcement"}}, "method.type", "unsupported_value"),
    "no method": ({"method": {"type": "magic"}}, "method.type", "invalid_value"),
    "a validation file of another type": ({"validation_file": 7}, "validation_file", "invalid_type"),
    "another service": (
        {"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations", "unsupported_parameter"
    ),
    "a suffix with spaces": ({"suffix": "a b"}, "suffix", "invalid_value"),
    "a seed of words": ({"seed": "seven"}, "seed", "invalid_value"),
    "metadata that are no texts": ({"metadata": {"a": 1}}, "metadata", "invalid_value"),
}  # fmt: skip


def test_orders_that_cannot_be_followed_are_refused_in_their_shape(world):
    file = world.file()
    for name, (change, param, code) in WRONG.items():
        with pytest.raises(openai.BadRequestError) as refused:
            world.job(file, **change)
        error = refused.value
        assert (error.param, error.code, error.type) == (param, code, "invalid_request_error"), name
        assert error.body["message"], name
    assert world.base.name in _message(world, file, model="gpt-4o"), "those that there are are named"
    assert not FineTuningJob.objects.exists()


def _message(world, file, **change) -> str:
    with pytest.raises(openai.BadRequestError) as refused:
        world.job(file, **change)
    return refused.value.body["message"]


def test_files_that_cannot_be_taken_are_refused(world):
    for purpose, code in (("assistants", "invalid_purpose"), ("batch", "invalid_purpose")):
        with pytest.raises(openai.BadRequestError) as refused:
            world.client.files.create(file=("a.jsonl", b"{}"), purpose=purpose)
        assert (refused.value.param, refused.value.code) == ("purpose", code)
    with pytest.raises(openai.BadRequestError) as refused:
        world.client.files.create(file=("a.jsonl", b""), purpose="fine-tune")
    assert refused.value.code in {"empty_file", "empty"}
    with pytest.raises(openai.BadRequestError) as refused:
        world.client.files.create(
            file=("a.jsonl", b"{}"), purpose="fine-tune", expires_after={"anchor": "created_at", "seconds": 3600}
        )
    assert refused.value.code == "unknown_parameter"


def test_another_project_is_another_world(world):
    file = world.file()
    job = world.job(file)
    other = make_project()
    with world.client_of(make_member(other, Role.OWNER), other) as stranger:
        for call in (
            lambda: stranger.files.retrieve(file.id),
            lambda: stranger.files.content(file.id),
            lambda: stranger.files.delete(file.id),
            lambda: stranger.fine_tuning.jobs.retrieve(job.id),
            lambda: stranger.fine_tuning.jobs.cancel(job.id),
            lambda: stranger.fine_tuning.jobs.list_events(job.id),
            lambda: stranger.models.retrieve(world.base.name),
        ):
            with pytest.raises(openai.NotFoundError) as refused:
                call()
            assert refused.value.code == "not_found"
        assert list(stranger.files.list()) == list(stranger.fine_tuning.jobs.list()) == []
        factory.make_base(other, make_member(other, Role.ENGINEER))
        with pytest.raises(openai.NotFoundError) as refused:
            stranger.fine_tuning.jobs.create(model=other.bases.get().name, training_file=file.id)
        assert (refused.value.param, refused.value.code) == ("training_file", "file_not_found")


def test_keys_open_what_they_may(world):
    with openai.OpenAI(api_key="sk-wrong", base_url=world.client.base_url, max_retries=0) as nobody:
        with pytest.raises(openai.AuthenticationError) as refused:
            nobody.files.list()
        assert refused.value.code == "invalid_api_key"
    with world.client_of(world.by, scope="read") as reader:
        assert list(reader.models.list())
        with pytest.raises(openai.PermissionDeniedError):
            reader.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")
    with world.client_of(make_member(world.project, Role.VIEWER)) as viewer:
        assert list(viewer.models.list())
        with pytest.raises(openai.PermissionDeniedError) as denied:
            viewer.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")
        assert denied.value.code == "insufficient_permissions"
    with world.client_of(world.by, project_header="another") as lost:
        with pytest.raises(openai.AuthenticationError) as refused:
            lost.files.list()
        assert refused.value.code == "mismatched_project"
    with world.client_of(world.by, project_header=world.project.slug) as right:
        assert list(right.files.list()) == []


def test_what_is_not_served_says_so(world):
    with pytest.raises(openai.NotFoundError) as refused:
        world.client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}])
    assert refused.value.code == "unknown_url"


@pytest.mark.usefixtures("no_new_stretch")
def test_too_many_orders_are_told_to_wait(world, monkeypatch):
    monkeypatch.setattr("training.api.openai.base.WRITES", base_limit(2))
    for _ in range(2):
        with pytest.raises(openai.BadRequestError):
            world.client.fine_tuning.jobs.create(model="x", training_file="file-1")
    with pytest.raises(openai.RateLimitError) as refused:
        world.client.fine_tuning.jobs.create(model="x", training_file="file-1")
    assert refused.value.code == "rate_limit_exceeded"
    assert int(refused.value.response.headers["Retry-After"]) >= 1


def base_limit(count: int):
    from training.api.openai.base import Limit

    return Limit("openai-test", count=count, seconds=3600)
