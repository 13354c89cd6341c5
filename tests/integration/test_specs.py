"""Specs of other tools through page and API: written from runs, read into the form, refused in plain words."""

from pathlib import Path

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from projects.domain.permissions import Role
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project
from training.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
SPECS = Path(__file__).resolve().parents[1] / "factories" / "specs"
JSON = {"content_type": "application/json"}
TOOLS = ["trl", "axolotl", "llama_factory", "luthier"]


def api(project, path: str) -> str:
    return f"/api/v1/projects/{project.slug}/{path}"


@pytest.fixture(scope="module")
def drafted(standing):
    recipe = {"batch_size": 4, "accumulation": 3}
    return standing(lambda: factory.make_draft(recipe=recipe, name="First try"))


@pytest.fixture
def draft(drafted, db, client):
    """A draft of an engineer who is signed in."""
    run = Run.objects.get(pk=drafted.pk)
    client.force_login(run.created_by)
    return run


@pytest.mark.parametrize("tool", TOOLS)
def test_a_draft_is_written_for_every_tool_and_read_back(client, draft, tool):
    page = client.get(reverse("run-spec", args=[draft.project.slug, draft.pk]), {"as": tool}).content.decode()
    assert "4 rows at once × 3 accumulated × 1 GPU = 12 a step" in page

    file = client.get(reverse("run-spec", args=[draft.project.slug, draft.pk]), {"as": tool, "download": "1"})
    written = client.get(api(draft.project, f"runs/{draft.pk}/export/"), {"as": tool}).json()
    assert file["Content-Disposition"] == f'attachment; filename="{written["file_name"]}"'
    assert file.content.decode() == written["text"]
    assert written["batch"]["rows"] == 12
    assert yaml.safe_load(written["text"])

    read = client.post(api(draft.project, "specs/"), {"text": written["text"]}, **JSON).json()
    parts = {part["part"]: part["id"] for part in read["parts"]}
    assert (read["dialect"], parts["base"]) == (tool, draft.base_id)
    assert {name: read["recipe"][name] for name in ("rank", "alpha", "batch_size", "accumulation", "max_length")} == {
        "rank": 2, "alpha": 4, "batch_size": 4, "accumulation": 3, "max_length": 64
    }  # fmt: skip


def test_our_own_spec_finds_the_very_same_base_and_rows(client, draft):
    written = client.get(api(draft.project, f"runs/{draft.pk}/export/"), {"as": "luthier"}).json()

    read = client.post(api(draft.project, "specs/"), {"text": written["text"]}, **JSON).json()

    assert {part["part"]: part["text"].split(", ", 1)[1] for part in read["parts"]} == {
        "base": "the very same version.", "dataset_version": "the very same rows."
    }  # fmt: skip
    made = {"name": read["name"], "base": draft.base_id, "dataset_version": draft.dataset_version_id}
    answer = client.post(api(draft.project, "runs/"), made | {"recipe": read["recipe"]}, **JSON)
    assert answer.status_code == 201
    assert Run.objects.latest("pk").recipe == draft.recipe


def test_the_form_is_filled_from_a_file(client, draft):
    text = f"""
        base_model: elsewhere/{draft.base.name}
        adapter: lora
        datasets: [{{path: data/{draft.dataset_version.dataset.name}.jsonl, type: chat_template}}]
        lora_r: 2
        lora_alpha: 4
        sequence_len: 64
        learning_rate: 3e-4
        micro_batch_size: 2
        num_epochs: 2
        val_set_size: 0.1
    """
    page = client.post(
        reverse("spec-import", args=[draft.project.slug]),
        {"file": SimpleUploadedFile("mine.yaml", text.encode()), "gpus": "4"},
    )

    shown = page.content.decode()
    assert page.status_code == 200, shown
    form = page.context["form"]
    assert (form["base"].value(), form["dataset_version"].value()) == (draft.base_id, draft.dataset_version_id)
    assert [str(form[name].value()) for name in ("learning_rate", "accumulation", "epochs")] == ["0.0003", "4", "2.0"]
    assert "Axolotl spec: read, the form is filled in" in shown
    assert "these 10% of the rows would be trained on" in shown
    assert not Run.objects.exclude(pk=draft.pk).exists()


def test_validation_data_is_looked_up_and_fills_the_form(client, draft):
    held_out = datasets.make_version(rows=datasets.tickets(8, start=300), project=draft.project, by=draft.created_by)
    text = f"""
        model_name_or_path: {draft.base.name}
        stage: sft
        do_train: true
        finetuning_type: lora
        dataset: {draft.dataset_version.dataset.name}
        eval_dataset: {held_out.dataset.name}
        eval_strategy: steps
        cutoff_len: 64
    """
    page = client.post(reverse("spec-import", args=[draft.project.slug]), {"text": text})
    assert page.context["form"]["validation_version"].value() == held_out.pk
    assert f"Validation “{held_out.dataset.name}”" in page.content.decode()
    parts = client.post(api(draft.project, "specs/"), {"text": text}, **JSON).json()["parts"]
    assert ("validation_version", held_out.pk) in [(part["part"], part["id"]) for part in parts]
    body = {"text": text, "validation": "no such data"}
    (missing,) = [part for part in client.post(api(draft.project, "specs/"), body, **JSON).json()["parts"]
                  if part["part"] == "validation_version"]  # fmt: skip
    assert missing["id"] is None and "No validation data here is called so" in missing["text"]


def test_our_own_spec_finds_the_very_rows_that_a_run_is_looked_at_with(client, draft):
    held_out = datasets.make_version(rows=datasets.tickets(8, start=300), project=draft.project, by=draft.created_by)
    Run.objects.filter(pk=draft.pk).update(validation_version=held_out)
    written = client.get(api(draft.project, f"runs/{draft.pk}/export/?as=luthier")).json()
    parts = client.post(api(draft.project, "specs/"), {"text": written["text"]}, **JSON).json()["parts"]
    (part,) = [one for one in parts if one["part"] == "validation_version"]
    assert part["id"] == held_out.pk and "the very same rows" in part["text"]


def test_a_base_that_is_not_here_is_said_and_never_replaced(client, draft):
    text = "model_name_or_path: no/such\nuse_peft: true\n"

    page = client.post(reverse("spec-import", args=[draft.project.slug]), {"text": text})
    assert page.context["form"]["base"].value() is None
    assert "No base here is called so" in page.content.decode()
    (part,) = client.post(api(draft.project, "specs/"), {"text": text}, **JSON).json()["parts"]
    assert (part["part"], part["wanted"], part["id"]) == ("base", "no/such", None)


def test_what_is_refused_can_be_left_out_by_a_decision(client, draft):
    text = (SPECS / "llama_factory_sft.yaml").read_text()
    address = reverse("spec-import", args=[draft.project.slug])

    page = client.post(address, {"text": text})
    shown = page.content.decode()
    assert page.status_code == 400
    assert "2 settings refused, nothing is filled in" in shown
    assert "template of LLaMA-Factory" in shown and "Read it without 2 refused lines" in shown
    assert "template: llama3" in shown, "the text stays in its field"

    page = client.post(address, {"text": text, "without": "trust_remote_code\r\ntemplate"})
    assert page.status_code == 200
    assert page.context["form"]["rank"].value() == 8

    read = client.post(api(draft.project, "specs/"), {"text": text}, **JSON).json()
    assert (read["recipe"], read["removable"]) == (None, ["trust_remote_code", "template"])
    again = client.post(api(draft.project, "specs/"), {"text": text, "without": read["removable"]}, **JSON).json()
    assert again["recipe"]["target_modules"] == ["q_proj", "v_proj"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"text": "a: &x 1"}, "alias"),
        ({"text": "rank: 1\nrank: 2"}, "duplicate_key"),
        ({"text": ""}, "blank"),
        ({"text": "colour: green"}, "unknown_dialect"),
        ({"text": "a: 1", "tool": "keras"}, "invalid_choice"),
        ({"text": "a: 1", "gpus": 0}, "min_value"),
        ({"text": "a: " + "x" * 70_000}, "max_length"),
        ({"text": "a: 1", "extra": 1}, "unknown_field"),
    ],
)
def test_bad_input_is_refused_by_code(client, draft, sent, code):
    answer = client.post(api(draft.project, "specs/"), sent, **JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_page_says_what_is_wrong_with_a_text(client, draft):
    address = reverse("spec-import", args=[draft.project.slug])
    for sent in ({"text": "rank: 1\nrank: 2"}, {"text": ""}, {"file": SimpleUploadedFile("x.yaml", b"\xff\xfe\x00")}):
        page = client.post(address, sent)
        assert page.status_code == 400
        assert page.context["spec_form"].errors or page.context["spec_form"].non_field_errors(), sent
        assert page.context["form"]["name"].value(), "the form itself is there"


def test_an_unknown_tool_is_refused_on_the_page_of_a_run(client, draft):
    assert client.get(reverse("run-spec", args=[draft.project.slug, draft.pk]), {"as": "keras"}).status_code == 400
    answer = client.get(api(draft.project, f"runs/{draft.pk}/export/"), {"as": "keras"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_dialect")


def test_who_may_do_what(client, draft):
    text = {"text": "model_name_or_path: a\nuse_peft: true\n"}
    client.force_login(make_member(draft.project, Role.VIEWER))
    assert client.get(reverse("run-spec", args=[draft.project.slug, draft.pk])).status_code == 200
    assert client.post(reverse("spec-import", args=[draft.project.slug]), text).status_code == 403
    assert client.post(api(draft.project, "specs/"), text, **JSON).status_code == 403

    client.force_login(make_member(make_project(), Role.OWNER))
    assert client.get(reverse("run-spec", args=[draft.project.slug, draft.pk])).status_code == 404
    assert client.get(api(draft.project, f"runs/{draft.pk}/export/"), {"as": "trl"}).status_code == 404
    assert client.post(api(draft.project, "specs/"), text, **JSON).status_code == 404


def test_a_parent_adapter_is_found_by_its_name(client):
    adapter = factory.make_adapter(name="first-adapter")
    by = make_member(adapter.project)
    client.force_login(by)
    text = f"base_model: {adapter.base.name}\nadapter: lora\nlora_model_dir: first-adapter\nlora_r: 2\nlora_alpha: 4\n"

    page = client.post(reverse("spec-import", args=[adapter.project.slug]), {"text": text})

    assert page.context["form"]["parent"].value() == adapter.pk
