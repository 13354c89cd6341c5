"""How a file is read is corrected by a person: columns and roles, seen before they are saved, through page and API."""

import json

import pytest

from datasets_app.models import Upload
from tests.factories.datasets import chat, jsonl, make_dataset, make_upload
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children"), pytest.mark.files]
ODD = jsonl([{"frage": f"Question {n}?", "antwort": f"Answer {n}.", "wer": "kim"} for n in range(4)])
SAID = {"columns": {"frage": "prompt", "antwort": "completion", "wer": "label"}}


@pytest.fixture
def refused(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    upload = make_upload(make_dataset(project, user), ODD)
    assert (upload.state, upload.error_code) == ("failed", "format_unknown")
    return upload


def path(upload, action):
    return f"/projects/{upload.project.slug}/uploads/{upload.pk}/{action}/"


def test_a_refused_file_shows_its_columns_with_examples(refused, client):
    page = client.get(refused.get_absolute_url()).content.decode()

    assert [name for name, _ in refused.head["columns"]] == ["frage", "antwort", "wer"]
    for text in ("Question 0?", "What “frage” is here", 'name="column:wer"', "Leave it out"):
        assert text in page


def test_the_preview_reads_three_rows_and_changes_nothing(refused, client):
    form = {"column:frage": "prompt", "column:antwort": "completion", "column:wer": "-", "forced_format": ""}

    good = client.get(path(refused, "preview"), form).content.decode()
    bad = client.get(path(refused, "preview"), form | {"forced_format": "preference"}).content.decode()
    none = client.get(path(refused, "preview"), {"column:frage": "id"}).content.decode()

    assert "would be read as “Prompt and completion”" in good
    assert "Answer 2." in good and "Answer 3." not in good
    assert "does not fit" in bad and "chosen" in bad
    assert "The columns match no format we know" in none
    assert Upload.objects.count() == 1


def test_a_mapping_is_saved_on_the_upload_and_read_with(refused, client):
    form = {"mapped": "1", "column:frage": "prompt", "column:antwort": "completion", "column:wer": "label"}

    client.post(path(refused, "read-again"), form)
    run_jobs()
    again = Upload.objects.get(reread_of=refused)

    assert again.mapping == SAID
    assert (again.state, again.rows_good, again.version.rows) == ("succeeded", 4, 4)
    assert again.samples[0]["label"] == "kim"
    page = client.get(again.get_absolute_url()).content.decode()
    assert '<option value="prompt" selected>' in page


def test_the_api_takes_the_same_mapping_and_shows_it(refused, client):
    root = f"/api/v1/projects/{refused.project.slug}/uploads/{refused.pk}"

    sent = client.post(f"{root}/read-again/", json.dumps({"mapping": SAID}), content_type="application/json")
    wrong = client.post(f"{root}/read-again/", json.dumps({"mapping": {"x": 1}}), content_type="application/json")
    run_jobs()
    read = client.get(f"/api/v1/projects/{refused.project.slug}/uploads/{sent.json()['id']}/").json()

    assert (sent.status_code, wrong.status_code, wrong.json()["code"]) == (202, 400, "mapping_invalid")
    assert (read["mapping"], read["rows_good"]) == (SAID, 4)
    assert read["head"]["columns"][0] == ["frage", "Question 0?"]


def test_roles_are_mapped(client):
    rows = [json.loads(json.dumps(chat(f"Q{n}?", "A.")).replace('"assistant"', '"maestro"')) for n in range(3)]
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    upload = make_upload(make_dataset(project, user), jsonl(rows))
    assert upload.error_code == "no_good_rows"

    client.post(path(upload, "read-again"), {"mapped": "1", "role:maestro": "assistant"})
    run_jobs()

    assert Upload.objects.get(reread_of=upload).rows_good == 3


@pytest.mark.parametrize(
    ("rows", "code", "says"),
    [
        ([{"prompt": "a", "completion": "b", "label": True}], "unpaired_rows", "good ones only"),
        ([{"prompt": "a", "completions": ["b"], "labels": [True]}], "stepwise_rows", "reward model"),
        ([{"prompt": "a"}], "prompt_only", "Add a completion"),
        ([{"input_ids": [1], "attention_mask": [1], "labels": [1]}], "pretokenised", "one tokenizer only"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_with_what_to_do(client, rows, code, says):
    upload = make_upload(make_dataset(), jsonl(rows))

    assert (upload.state, upload.error_code) == ("failed", code)
    assert says in upload.error_message


def test_judged_answers_are_read_as_pairs_or_as_examples(client):
    rows = [
        {"prompt": f"Q{n}?", "completion": answer, "label": good}
        for n in range(3)
        for answer, good in (("Yes.", True), ("No.", False))
    ]
    rows.append({"prompt": "Alone?", "completion": "Yes.", "label": True})
    dataset = make_dataset()
    pairs = make_upload(dataset, jsonl(rows))
    good = make_upload(dataset, jsonl(rows), forced_format="kto_good")

    assert (pairs.detected_format, pairs.rows_good, pairs.bad_codes) == ("kto_pairs", 3, {"unpaired_row": 1})
    assert (good.version.kind, good.rows_good, good.bad_codes) == ("sft", 4, {"unwanted_answer": 3})


def test_chained_rows_are_read_as_conversations():
    rows = [{"id": n, "parent_id": n - 1 if n % 3 else None, "prompt": f"Q{n}?", "answer": f"A{n}."} for n in range(6)]

    upload = make_upload(make_dataset(), jsonl(rows))

    assert (upload.detected_format, upload.rows_good, upload.rows_bad) == ("chained", 2, 0)
    assert [turn["content"] for turn in upload.samples[0]["messages"]] == ["Q0?", "A0.", "Q1?", "A1.", "Q2?", "A2."]
