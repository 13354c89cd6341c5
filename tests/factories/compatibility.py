"""Versions of a base and an adapter that fits them, for tests of compatibility: real files, no torch."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

from evaluation import services
from evaluation.models import Probe
from projects.models import Project, User
from tests.factories import training as factory
from tests.factories.deployments import make_adapter as make_stored
from tests.factories.deployments import make_base
from tests.factories.evaluation import make_golden
from tests.factories.projects import run_jobs
from training.domain import anatomy
from training.engine import hashing
from training.models import Adapter, AdapterAnatomy, BaseAnatomy, BaseModelVersion

HALVES = {"A": (16, 4), "B": (4, 16)}
ENGINE = Path(__file__).with_name("probe_engine.py")
REASON = "The provider ended the old version; see ticket 214."


def use_engine(mode: str = "drifted") -> None:
    """Let the next probes be answered by the stand-in in this mode. Tests restore settings by their fixture."""
    settings.ENGINES = settings.ENGINES | {"evaluation.probe": [sys.executable, str(ENGINE), mode]}


def weights(side: int, fill: int) -> bytes:
    """A safetensors file with the one layer that adapters of the fake engine change."""
    size = 4 * side * side
    entry = {"dtype": "F32", "shape": [side, side], "data_offsets": [0, size]}
    header = json.dumps({"layers.0.q_proj.weight": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes([fill]) * size


def make_version(project: Project, by: User, *, side: int = 4, fill: int = 0, **change: Any) -> BaseModelVersion:
    """A registered version of one base. `template` and `swap` (of the numbers of two tokens) make others of it."""
    name = factory.make_model_folder(template=change.get("template", factory.TEMPLATE))
    folder = Path(settings.MODELS_DIR) / name
    (folder / "model.safetensors").write_bytes(weights(side, fill))
    if change.get("swap"):
        raw = json.loads((folder / "tokenizer.json").read_text())
        vocab = raw["model"]["vocab"]
        vocab["low"], vocab["queue"] = vocab["queue"], vocab["low"]
        (folder / "tokenizer.json").write_text(json.dumps(raw))
    base = factory.make_base(project, by, path=name, name=change.get("name", name))
    assert base.is_ready, base.error_message
    return base


def make_quick_pair(project: Project, by: User) -> tuple[Adapter, BaseModelVersion]:
    """The same from rows alone, with weights that differ; no worker has read anything."""
    adapter = make_stored(project, by)
    other = make_base(project, by)
    shapes = {"layers.0.q_proj.weight": (4, 4)}
    tokenizer = {"tokens": 3, "vocabulary": "v", "rules": "r", "special": {"eos_token": "<|end|>"}}
    body = {"tensors": anatomy.fold(shapes), "config": {"hidden_size": 4}, "tokenizer": tokenizer}
    for fill, base in enumerate((adapter.base, other)):
        base.folder.mkdir(parents=True, exist_ok=True)
        (base.folder / "config.json").write_text("{}")
        (base.folder / "model.safetensors").write_bytes(weights(4, fill))
        base.parts = hashing.base_parts(base.folder)
        base.save()
        BaseAnatomy.objects.create(base=base, facts=body)
    pair = {f"base_model.model.layers.0.q_proj.lora_{half}.weight": side for half, side in HALVES.items()}
    facts = {"rank": 16, "modules": {}, "components": [], "scales": [2.0], "tensors": anatomy.fold(pair)}
    AdapterAnatomy.objects.create(adapter=adapter, facts=facts)
    return adapter, other


def make_pair(project: Project, by: User, **change: Any) -> tuple[Adapter, BaseModelVersion]:
    """An adapter, and another version of its base."""
    own = make_version(project, by)
    adapter = factory.make_adapter(project, by, base=own)
    return adapter, make_version(project, by, **({"fill": 7} | change))


def run_probe(adapter: Adapter, base: BaseModelVersion, by: User, mode: str = "drifted", **fields: Any) -> Probe:
    """A probe as it ended."""
    use_engine(mode)
    golden = fields.pop("golden", None) or make_golden(adapter.project, by)
    probe = services.probe_pair(adapter, by=by, base=base, golden=golden, **fields)
    run_jobs()
    probe.refresh_from_db()
    return probe
