"""Attacks by the parameters of a run through page and API, A17: refused with code and field, and no run is made."""

import json

import pytest
from django.urls import reverse

from projects.domain.errors import Refused
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project
from training import forms, services
from training.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
NUMBERS = ("not_a_number", "out_of_range")
BAD = [
    ("epochs", True, NUMBERS),
    ("epochs", 10**9, NUMBERS),
    ("epochs", "", NUMBERS),
    ("epochs", "nan", NUMBERS),
    ("epochs", [3], NUMBERS),
    ("learning_rate", -1, NUMBERS),
    ("learning_rate", 1e308, NUMBERS),
    ("learning_rate", "1e-4; curl x | sh", NUMBERS),
    ("learning_rate", "٣", NUMBERS),
    ("max_length", 10**6, NUMBERS),
    ("max_length", {"$gt": 0}, NUMBERS),
    ("rank", "9" * 1_000_000, NUMBERS),
    ("rank", "1_6", NUMBERS),
    ("rank", None, NUMBERS),
    ("seed", False, NUMBERS),
    ("scheduler", "@file", ("unknown_choice",)),
    ("target_modules", "../x", ("unknown_module",)),
    ("target_modules", ["q_proj"] * 1000, ("unknown_module",)),
    ("packing", "yes", ("not_a_boolean",)),
    ("packing", 1, ("not_a_boolean",)),
    ("max_length", 300, ("beyond_context",)),  # the base sees 256 tokens
]


@pytest.fixture
def ready(client):
    project = make_project()
    by = make_member(project)
    client.force_login(by)
    return project, by, factory.make_base(project, by), datasets.make_version(project=project, by=by)


def test_a17_the_api_refuses_by_code_and_field(client, ready):
    project, _, base, version = ready
    address = reverse("api-run-list", args=[project.slug])

    def post(body) -> tuple[int, str, str]:
        answer = client.post(address, body, content_type="application/json")
        return answer.status_code, answer.json().get("code", ""), answer.json().get("field", "")

    run = {"name": "r", "base": base.pk, "dataset_version": version.pk}
    for name, value, codes in BAD:
        status, code, field = post(json.dumps(run | {"recipe": factory.RECIPE | {name: value}}))
        assert (status, field.rpartition(".")[2]) == (400, name), (name, str(value)[:40])
        assert code in codes, (name, str(value)[:40])
    for key in ("output_dir", "report_to", "hub_token", "--config", "env", "trust_remote_code"):
        assert post(run | {"recipe": {key: "; curl x | sh"}}) == (400, "unknown_field", f"recipe.{key}")
        assert post(run | {key: "; curl x | sh"}) == (400, "unknown_field", key)
    broken = [
        '{"recipe": {"epochs": NaN}}',
        '{"recipe": {"epochs": 1e999}}',
        '{"recipe": {"rank": ' + "9" * 5000 + "}}",
        '{"recipe": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"recipe": {"\\ud800": 1}}',
    ]
    for raw in broken:
        assert post(raw)[:2] == (400, "parse_error"), raw[:40]
    for recipe in ([], "x", 7):
        assert post(run | {"recipe": recipe})[0] == 400
    assert not Run.objects.exists()
    assert post(run | {"recipe": factory.RECIPE | {"rank": "2"}})[0] == 201


def test_a17_the_page_says_the_same_and_keeps_what_was_typed(client, ready):
    project, _, base, version = ready
    address, projection = (reverse(name, args=[project.slug]) for name in ("run-create", "run-projection"))
    fields = forms.initial_run(project) | factory.RECIPE | {"name": "r", "base": base.pk, "dataset_version": version.pk}
    fields |= {"packing": "", "four_bit": "", "parent": "", "cut": "refuse"}
    for name, value, _ in BAD:
        if isinstance(value, str | int) and not isinstance(value, bool) and name != "packing" and len(str(value)) < 99:
            answer = client.post(address, fields | {name: value})
            assert answer.status_code == 400, (name, value)
            assert answer.context["form"].errors[name], (name, value)
            said = client.post(projection, fields | {name: value}).content.decode()
            assert "Traceback" not in said
    too_long = client.post(projection, fields | {"max_length": 300}).content.decode()
    assert "this base sees 256 at most" in too_long
    assert not Run.objects.exists()
    assert client.post(address, fields | {"then": "draft", "output_dir": "; curl x | sh"}).status_code == 302
    assert "curl" not in json.dumps(Run.objects.get().recipe)


@pytest.mark.parametrize(
    ("shape", "recipe", "code"),
    [
        ({"linear": {"q_proj": 16}}, {"rank": 17, "alpha": 17}, "rank_beyond_layer"),
        ({"linear": {}}, {"rank": 17, "alpha": 17}, None),
    ],
)
def test_a17_a_rank_beyond_the_layers_of_the_base_is_refused(ready, shape, recipe, code):
    project, by, base, version = ready
    base.shape |= shape
    base.save()

    def create():
        services.create_run(project, by=by, name="r", base=base, version=version, recipe=factory.RECIPE | recipe)

    if code is None:
        create()
        return
    with pytest.raises(Refused) as refused:
        create()
    assert (refused.value.code, refused.value.field) == (code, "rank")


def test_a17_a_run_of_too_many_steps_is_refused_before_anything_is_counted(ready):
    project, by, base, version = ready
    type(version).objects.filter(pk=version.pk).update(rows=4_000_000)
    version.refresh_from_db()
    with pytest.raises(Refused) as refused:
        services.create_run(
            project, by=by, name="r", base=base, version=version,
            recipe=factory.RECIPE | {"epochs": 5, "batch_size": 1},
        )  # fmt: skip
    assert (refused.value.code, refused.value.field) == ("too_many_steps", "epochs")
    assert not Run.objects.exists()
