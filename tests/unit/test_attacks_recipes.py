"""Attacks by the parameters of a run, A17 of the reliability list: no value ends in a crash, a shell or without end."""

import ast
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from projects import child, jobs
from projects.domain.errors import Invalid, Refused
from tests.unit.test_training_recipe import make_spec
from training.domain import bounds
from training.domain.recipe import KNOB, KNOBS, Recipe, check, shown
from training.domain.spec import RunSpec

quickly = settings(max_examples=200, deadline=None, derandomize=True)
NUMBERS = sorted(knob.name for knob in KNOBS if knob.kind in {"int", "float"})

# Values that no knob takes, whatever its kind.
NO_VALUES = {
    "a shell": "; curl x | sh",
    "a substitution": "$(id)",
    "an option": "--config",
    "a file": "@/etc/passwd",
    "a path": "../../etc/passwd",
    "a text of a megabyte": "9" * 1_000_000,
    "another of a megabyte": "x" * 1_000_000,
    "a number behind blanks": "1" + " " * 1000 + "x",
    "two numbers": "1 2",
    "5,000 digits": 10**5000,
    "5,000 digits below zero": -(10**5000),
    "NaN": float("nan"),
    "infinity": float("inf"),
    "infinity below zero": float("-inf"),
    "NaN in words": "nan",
    "infinity in words": "Infinity",
    "Arabic digits": "٣٣",
    "wide digits": "３３",
    "digits with a line under them": "1_0",
    "hexadecimal": "0x10",
    "a half character": "\ud800",
    "NUL": "1\x00",
    "an object": {"a": 1},
    "an object in a list": [{"a": 1}],
    "a list in a list": [["1"]],
    "nothing": None,
    "bytes": b"1",
}


@pytest.mark.parametrize("value", NO_VALUES.values(), ids=NO_VALUES.keys())
@pytest.mark.parametrize("name", sorted(KNOB))
def test_a17_what_is_no_value_is_refused_by_every_knob(name, value):
    with pytest.raises(Invalid) as refused:
        Recipe.read({name: value})
    assert refused.value.field == name
    assert refused.value.code in {
        "not_a_number", "out_of_range", "not_a_whole_number", "unknown_choice", "not_a_boolean", "unknown_module",
    }  # fmt: skip
    assert len(refused.value.message) < 600
    json.dumps(refused.value.message).encode()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [True, False, "true", -1e-30, 10**30, -(10**30), 1e308, "1e9999", "-0.5"])
def test_a17_truths_and_absurd_sizes_are_no_numbers(name, value):
    with pytest.raises(Invalid) as refused:
        Recipe.read({name: value})
    assert refused.value.field == name


@pytest.mark.parametrize("text", ["8", " 8 ", "8.0", "+8", "0.8e1", "80E-1"])
def test_a17_numbers_as_forms_send_them_are_read(text):
    assert check(KNOB["rank"], text) == 8


DEEP: list = []
for _ in range(100_000):
    DEEP = [DEEP]


def test_a17_values_of_any_depth_are_quoted_by_their_kind():
    with pytest.raises(Invalid) as refused:
        Recipe.read({"epochs": DEEP, "rank": DEEP})
    assert "“list”" in refused.value.message
    assert shown({"a": 1}) == "dict"
    assert shown("a\x00\u202eb") == "a\ufffd\ufffdb"
    assert shown(10**70) == "a number of more than 60 digits"


@pytest.mark.parametrize(
    "raw", [None, [], [["epochs", 1]], "epochs", 7, {7: 1}, {None: 1}, {("a",): 1}, {"Epochs": 1}, {"epochs ": 1}]
)
def test_a17_what_is_no_recipe_is_refused(raw):
    with pytest.raises(Invalid) as refused:
        Recipe.read(raw)
    assert refused.value.code in {"bad_recipe", "unknown_setting"}


UNKNOWN = [
    "output_dir", "--config", "@file", "report_to", "hub_token", "push_to_hub", "env", "PATH", "LD_PRELOAD",
    "trust_remote_code", "deepspeed", "fsdp", "optim", "model_init_kwargs", "resume_from_checkpoint", "__class__", "é",
]  # fmt: skip


@pytest.mark.parametrize("key", UNKNOWN)
def test_a17_settings_of_the_libraries_below_cannot_be_reached(key):
    with pytest.raises(Invalid) as refused:
        Recipe.read({key: "; curl x | sh"})
    assert (refused.value.code, refused.value.field) == ("unknown_setting", key)


SOME = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=50)
    | st.sampled_from([value for value in NO_VALUES.values() if isinstance(value, str) and len(value) < 100]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
ANY = SOME | st.integers(0, 9).map(lambda n: 10**4350 + n)  # a number that Python itself refuses to write down
NAMES = st.sampled_from([*KNOB, *UNKNOWN]) | st.text(max_size=10)


@pytest.mark.slow
@quickly
@given(raw=st.dictionaries(NAMES, ANY, max_size=8))
def test_a17_any_recipe_is_read_or_refused_by_code_and_field(raw):
    try:
        recipe = Recipe.read(raw)
    except Invalid as refused:
        assert refused.code and refused.field is not None and len(refused.field) <= 60
        refused.message.encode()
        return
    assert Recipe.read(json.loads(json.dumps(recipe.as_dict()))) == recipe


SPEC = make_spec().as_dict()


@pytest.mark.slow
@quickly
@given(
    changes=st.dictionaries(st.sampled_from([*SPEC, "command"]), ANY, max_size=3),
    base=st.dictionaries(st.sampled_from([*SPEC["base"], "x"]), ANY, max_size=2),
    data=st.dictionaries(st.sampled_from([*SPEC["data"], "x"]), ANY, max_size=2),
    recipe=st.dictionaries(NAMES, ANY, max_size=2),
)
def test_a17_the_engine_reads_any_spec_or_refuses_it_by_code(changes, base, data, recipe):
    raw = SPEC | {"base": SPEC["base"] | base, "data": SPEC["data"] | data, "recipe": SPEC["recipe"] | recipe} | changes
    try:
        spec = RunSpec.read(raw)
    except Invalid as refused:
        assert refused.code
        refused.message.encode()
        return
    assert isinstance(spec.recipe, Recipe)
    assert isinstance(spec.data.rows, int)
    assert RunSpec.read(spec.as_dict()) == spec


@pytest.mark.slow
@quickly
@given(content=st.binary(max_size=120) | SOME.map(lambda value: json.dumps(value).encode()))
def test_a17_any_file_is_a_spec_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "spec.json"
    path.write_bytes(content)
    with pytest.raises(Invalid) as refused:
        RunSpec.load(path)
    assert refused.value.code == "bad_spec"


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"label": NaN}', b'{"label": 1, "label": 2}', b"{" + b" " * 16_000_001 + b"}", b"\xff"],
    ids=["deep", "NaN", "twice", "16 MB", "bytes"],
)
def test_a17_a_spec_file_that_is_an_attack_is_refused(tmp_path, content):
    (tmp_path / "spec.json").write_bytes(content)
    with pytest.raises(Invalid) as refused:
        RunSpec.load(tmp_path / "spec.json")
    assert refused.value.code == "bad_spec"


# What each value may be, and all of them together may not


def refused_by(code: str, recipe: dict, **about) -> str:
    with pytest.raises(Invalid) as refused:
        bounds.check(Recipe.read(recipe), **({"rows": 100} | about))
    assert refused.value.code == code
    return str(refused.value.field)


def test_a17_a_run_that_never_ends_is_refused():
    assert refused_by("too_many_steps", {"epochs": 100, "batch_size": 1}, rows=5_000_000) == "epochs"
    assert refused_by("too_many_steps", {"epochs": 3, "batch_size": 1}, rows=4_000_000) == "epochs"
    bounds.check(Recipe.read({"epochs": 3, "batch_size": 8}), rows=5_000_000)
    bounds.check(Recipe.read({"epochs": 2, "batch_size": 1}), rows=bounds.MOST_STEPS // 2)


def test_a17_rows_longer_than_the_base_can_see_are_refused():
    assert refused_by("beyond_context", {"max_length": 4096}, context_length=2048) == "max_length"
    bounds.check(Recipe.read({"max_length": 4096}), rows=1, context_length=4096)
    bounds.check(Recipe.read({"max_length": 4096}), rows=1, context_length=0)  # the base does not say


def test_a17_a_rank_beyond_the_smallest_layer_it_adapts_is_refused():
    linear = {"q_proj": 192, "k_proj": 96, "gate": 8}
    assert refused_by("rank_beyond_layer", {"rank": 97}, linear=linear) == "rank"
    assert refused_by("rank_beyond_layer", {"rank": 200, "target_modules": ["q_proj"]}, linear=linear) == "rank"
    bounds.check(Recipe.read({"rank": 96}), rows=1, linear=linear)  # “gate” is a router, not one of the linear layers
    bounds.check(Recipe.read({"rank": 192, "target_modules": ["q_proj"]}), rows=1, linear=linear)
    bounds.check(Recipe.read({"rank": 512}), rows=1)


@quickly
@given(
    epochs=st.floats(0.01, 100),
    batch=st.integers(1, 1024),
    accumulation=st.integers(1, 1024),
    rows=st.integers(0, 10**12),
    context=st.integers(0, 10**6),
    linear=st.dictionaries(st.sampled_from(["q_proj", "c_attn", "gate"]), st.integers(0, 10**6)),
)
def test_a17_any_combination_is_bounded_or_refused(epochs, batch, accumulation, rows, context, linear):
    recipe = Recipe.read({"epochs": epochs, "batch_size": batch, "accumulation": accumulation})
    try:
        bounds.check(recipe, rows=rows, context_length=context, linear=linear)
    except Refused as refused:
        assert refused.code in {"too_many_steps", "beyond_context", "rank_beyond_layer"}
        return
    assert recipe.steps(rows) <= bounds.MOST_STEPS


@pytest.mark.parametrize(
    ("recipe", "rows", "code"),
    [
        ({"max_length": 512}, 10, "beyond_context"),
        ({"epochs": 100, "batch_size": 1, "max_length": 64}, 10**6, "too_many_steps"),
    ],
)
def test_a17_the_engine_refuses_what_the_web_would(settings, tmp_path, recipe, rows, code):
    """A spec that nobody has checked: the engine looks at the base itself, before it reads a row or loads a model."""
    from dataclasses import replace

    from tests.factories.training import make_model_folder
    from training.engine import fingerprint
    from training.engine import run as engine  # torch with it

    settings.MODELS_DIR = tmp_path
    folder = tmp_path / make_model_folder()
    found = fingerprint.describe(folder)
    spec = make_spec(recipe=Recipe.read(recipe))
    base = replace(spec.base, path=str(folder), fingerprint=found["fingerprint"], parts=found["parts"])
    spec = replace(spec, base=base, data=replace(spec.data, rows=rows), checkpoint_dir=str(tmp_path / "ckpt"))
    spec.write(tmp_path / "spec.json")
    with pytest.raises(Refused) as refused:
        engine.main(str(tmp_path / "spec.json"))
    assert refused.value.code == code


# A command line is a list, and an environment is given, not inherited


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """Every node of those files of the product that could do any of what is looked for, with its file."""
    words = ("subprocess", "os.", "trust_remote_code", "from_pretrained", "pickle", "load(")
    found = []
    for app in ("projects", "datasets_app", "training", "evaluation", "deployments", "config", "demo"):
        for path in sorted((django_settings.BASE_DIR / app).rglob("*.py")):
            short, text = path.relative_to(django_settings.BASE_DIR), path.read_text()
            if any(word in text for word in words):
                found += [(short, node) for node in ast.walk(ast.parse(text))]
    return found


def calls():
    """Every call: (file, name of the function, what it is given by name)."""
    for path, node in nodes():
        if isinstance(node, ast.Call):
            yield path, ast.unparse(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


@pytest.mark.slow
def test_a17_no_process_is_started_through_a_shell():
    started = 0
    for path, name, named in calls():
        assert name not in {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}, path
        if name.startswith("subprocess."):
            started += name in {"subprocess.Popen", "subprocess.run"}
            assert "shell" not in named, path
    assert started >= 3


def test_a15_no_call_ever_trusts_code_that_comes_with_a_model():
    """`trust_remote_code` is written out, and False, wherever it is written."""
    named = [(path, told["trust_remote_code"]) for path, _, told in calls() if "trust_remote_code" in told]
    assert len(named) >= 2
    assert {value for _, value in named} == {"False"}, named
    tables = []
    for path, node in nodes():
        if isinstance(node, ast.Dict) and "dialects" not in path.parts:  # those say what the word means elsewhere
            items = zip(node.keys, node.values, strict=True)
            tables += [(path, ast.unparse(v)) for k, v in items if k and ast.unparse(k) == "'trust_remote_code'"]
    assert {value for _, value in tables} <= {"False", "None"}, tables  # None: a release without the argument


def test_a13_no_call_opens_a_pickle():
    """torch.load, pickle and their kin are not called by what is ours; libraries are told to take safetensors only."""
    opens = {"torch.load", "pickle.load", "pickle.loads", "joblib.load", "dill.load", "shelve.open"}
    loaded = 0
    for path, name, named in calls():
        assert name not in opens, path
        assert named.get("allow_pickle", "False") == "False", path
        if name in {"PeftModel.from_pretrained", "AutoModelForCausalLM.from_pretrained"}:
            loaded += 1
            assert named["use_safetensors"] == "True", path
    assert loaded >= 3


SECRET = {
    "DATABASE_URL": "postgres://u:secret@h/d", "SECRET_KEY": "secret", "DJANGO_SETTINGS_MODULE": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret", "CELERY_BROKER_URL": "amqp://u:secret@h", "LUTHIER_BROKER": "secret",
    "HTTPS_PROXY": "http://u:secret@h", "HF_TOKEN": "secret", "HUGGING_FACE_HUB_TOKEN": "secret",
    "WANDB_API_KEY": "secret", "MLFLOW_TRACKING_PASSWORD": "secret", "LD_PRELOAD": "secret", "PYTHONSTARTUP": "secret",
    "BASH_ENV": "secret", "GIT_SSH_COMMAND": "secret", "TOKENIZERS_API_KEY": "secret", "CUDA_PASSWORD": "secret",
}  # fmt: skip


def test_a17_the_environment_of_a_child_is_a_list_of_what_it_needs(monkeypatch):
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_HUB_CACHE", "/models")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    command = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    said = subprocess.run(command, env=child.child_environment(), capture_output=True, text=True, check=True)

    seen = json.loads(said.stdout)
    assert not set(SECRET) & set(seen)
    assert not any("secret" in value for value in seen.values())
    assert (seen["HF_HUB_CACHE"], seen["CUDA_VISIBLE_DEVICES"]) == ("/models", "1")


def test_a17_only_the_child_that_fetches_models_is_given_the_hubs_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    given = {kind.label for kind in jobs.kinds() if jobs.secrets_of(kind)}
    assert given == {"training.base", "training.base_check"}
    assert jobs.secrets_of(jobs.kind("training.base")) == {"HF_TOKEN": "secret"}
    monkeypatch.delenv("HF_TOKEN")
    assert jobs.secrets_of(jobs.kind("training.base")) == {}


def test_a17_a_value_is_an_argument_whatever_it_says(tmp_path):
    """What a command line holds reaches the child as it is: no glob, no variable, no second command."""
    said = tmp_path / "said"
    values = ["; touch x", "$(touch x)", "`touch x`", "*", "$HOME", "a b", "--config=@/etc/passwd", "\n"]
    script = "import json, sys; open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:]))"
    with (tmp_path / "log").open("wb") as log:
        process = child.spawn(
            [sys.executable, "-c", script, str(said), *values],
            environment=child.child_environment(),
            limits=jobs.kind("training.seen").limits,
            log=log,
        )
        process.wait()
        process.stdout.close()
    assert json.loads(said.read_text()) == values
    assert not os.path.exists(django_settings.BASE_DIR / "x")
