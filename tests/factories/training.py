"""Bases, runs and adapters for tests, made by the product's own services and, unless told otherwise, a fake engine."""

import json
import shutil
import struct
import sys
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings
from tokenizers import Tokenizer, models, pre_tokenizers

from projects.domain.permissions import Role
from projects.models import Project, User
from tests.factories import datasets
from tests.factories.projects import make_member, make_project, run_jobs
from training import services
from training.models import Adapter, BaseModelVersion, Run

_n = count(1)
WORDS = [
    "ticket",
    "please",
    "help",
    "me",
    "with",
    "number",
    "billing",
    "access",
    "network",
    "hardware",
    "software",
    "queue",
    "priority",
    "low",
]
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def fake_engine(behaviour: str = "ok") -> list[str]:
    return [sys.executable, "-m", "tests.fake_engine", behaviour]


def make_model_folder(name: str = "", *, template: str = TEMPLATE, seed: int = 0) -> str:
    """A directory below the models folder that looks like a base model to everything but torch."""
    name = name or f"model-{next(_n)}"
    folder = Path(settings.MODELS_DIR) / name
    folder.mkdir(parents=True)
    specials = ["<unk>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    vocab = {word: place for place, word in enumerate([*specials, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(specials)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "vocab_size": len(vocab),
        "max_position_embeddings": 256,
        "seed": seed,
    }
    (folder / "config.json").write_text(json.dumps(config))
    header = json.dumps({"w": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}).encode()
    weights = struct.pack("<Q", len(header)) + header + bytes([next(_n) % 256]) * 64
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return name


def make_base(project: Project | None = None, by: User | None = None, **fields: Any) -> BaseModelVersion:
    """A base that a worker has hashed."""
    project = project or make_project()
    by = by or make_member(project)
    fields = {"source": "local", "path": fields.pop("path", None) or make_model_folder()} | fields
    base = services.register_base(project, by=by, **fields)
    run_jobs()
    base.refresh_from_db()
    return base


RECIPE = {"epochs": 1, "max_length": 64, "rank": 2, "alpha": 4}


def make_draft(project: Project | None = None, by: User | None = None, **fields: Any) -> Run:
    """A run that is not started, its data counted."""
    project = project or make_project()
    by = by or make_member(project)
    base = fields.pop("base", None) or make_base(project, by)
    version = fields.pop("version", None) or datasets.make_version(project=project, by=by)
    recipe = RECIPE | fields.pop("recipe", {})
    run = services.create_run(
        project, by=by, name=fields.pop("name", f"run {next(_n)}"), base=base, version=version, recipe=recipe, **fields
    )
    run_jobs()
    return run


def make_run(project: Project | None = None, by: User | None = None, behaviour: str = "ok", **fields: Any) -> Run:
    """A run that the fake engine has taken to its end."""
    settings.ENGINES["training.run"] = fake_engine(behaviour)
    project = project or make_project()
    by = by or make_member(project)
    run = services.start_run(make_draft(project, by, **fields), by=by)
    run_jobs()
    run.refresh_from_db()
    return run


def make_adapter(project: Project | None = None, by: User | None = None, **fields: Any) -> Adapter:
    run = make_run(project, by, **fields)
    assert run.state == "succeeded", f"{run.error_code}: {run.error_message}"
    return run.adapter


def make_owner(project: Project) -> User:
    return make_member(project, Role.OWNER)


def drop_model_folder(name: str) -> None:
    shutil.rmtree(Path(settings.MODELS_DIR) / name)
