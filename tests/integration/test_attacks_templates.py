"""Attacks by chat templates through the doors of the product, A18: told with a code, and the worker lives on."""

from pathlib import Path

import pytest
from django.conf import settings as django_settings

from projects.domain.states import JobState
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import services
from training.models import Run, SeenRow

pytestmark = [pytest.mark.django_db, pytest.mark.files, pytest.mark.usefixtures("quick_children")]

# Honest with the words of the probes, and with those of nearly every row.
OBEYS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ 'x' * (m.content|int * 1000) }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def people(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    return project, user


def make_version(project, user, *questions: str):
    rows = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "ticket billing"}]}
        for question in questions
    ]
    return datasets.make_version(project=project, by=user, rows=rows)


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "template_forbidden"),
        ("{{ 'A' * 2000000000 }}", "template_limit"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "template_limit"),
        ("{{ raise_exception('No.') }}", "template"),
    ],
)
def test_a18_a_base_with_such_a_template_is_refused_early_and_told(client, people, template, code):
    project, user = people
    base = factory.make_base(project, user, path=factory.make_model_folder(template=template))

    assert (base.state, base.error_code) == (JobState.FAILED, code)
    assert "The chat template" in client.get(base.get_absolute_url()).content.decode()
    assert factory.make_base(project, user).is_ready  # the worker lives


@pytest.fixture
def obeying(people):
    return factory.make_base(*people, path=factory.make_model_folder(template=OBEYS))


def test_a18_a_row_that_sets_off_its_template_is_named_and_the_others_are_counted(client, people, obeying):
    project, user = people
    version = make_version(project, user, "help me", "2000000000", "please", "5000")

    profile = services.measure_tokens(version, by=user, base=obeying)
    shown = services.show_row(version, by=user, base=obeying, index=1)
    run_jobs()

    profile.refresh_from_db()
    assert profile.is_ready, profile.error_message
    assert [(one["index"], one["code"]) for one in profile.stats["unshowable_rows"]] == [
        (1, "template_limit"),
        (3, "template_limit"),
    ]
    assert profile.stats["rows"] == 2
    seen = SeenRow.objects.get(pk=shown.pk).seen
    assert (seen["refused"]["code"], seen["sequences"]) == ("template_limit", [])
    assert client.get(profile.get_absolute_url() + "&row=1").status_code == 200


def test_a18_a_template_that_takes_too_much_for_row_after_row_ends_the_count(people, obeying):
    project, user = people
    version = make_version(project, user, *(f"{5000 + n}" for n in range(30)))

    profile = services.measure_tokens(version, by=user, base=obeying)
    run_jobs()

    profile.refresh_from_db()
    assert (profile.state, profile.error_code) == (JobState.FAILED, "template_limit")
    assert "This has happened for 10 rows." in profile.error_message


def test_a18_the_training_engine_renders_in_a_limited_child_too(people, obeying):
    """The real engine, which reads all rows before it loads torch; the counts are of before the row changed."""
    project, user = people
    version = make_version(project, user, *(["help me"] * 3))
    hostile = make_version(project, user, *(f"{5000 + n}" for n in range(12)))
    run = services.create_run(
        project, by=user, name="r", base=obeying, version=version, recipe=factory.RECIPE | {"cut": "drop"}
    )
    run_jobs()
    services.start_run(run, by=user)
    spec = Run.objects.get(pk=run.pk).spec
    spec["data"] |= {"rows": hostile.rows, "content_hash": hostile.content_hash}
    Run.objects.filter(pk=run.pk).update(dataset_version=hostile, spec=spec)
    run_jobs()

    run.refresh_from_db()
    assert (run.state, run.error_code) == (JobState.FAILED, "template_limit")


def test_a18_a_template_swapped_after_registration_is_not_what_was_registered(people):
    project, user = people
    run = factory.make_draft(project, user)
    path = Path(django_settings.MODELS_DIR) / run.base.path / "chat_template.jinja"
    path.write_text("{{ cycler.__init__.__globals__.os.system('true') }}")
    services.start_run(run, by=user)
    again = make_version(project, user, "please help")
    profile = services.measure_tokens(again, by=user, base=run.base)
    run_jobs()

    run.refresh_from_db()
    profile.refresh_from_db()
    assert (run.state, run.error_code) == (JobState.FAILED, "base_changed")
    assert (profile.state, profile.error_code) == (JobState.FAILED, "template_forbidden")
