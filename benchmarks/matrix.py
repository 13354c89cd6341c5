"""make bench-matrix: the page adapters × base versions with 200 adapters and 12 bases, view and template.

The last line is one JSON object: medians in milliseconds of a process that has judged the pairs before and of one that
has not (cold), and how many queries a page takes.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

ADAPTERS, BASES, LAYERS, RANK = 200, 12, 28, 16
WIDTHS = {"q_proj": (1536, 1536), "k_proj": (256, 1536), "v_proj": (256, 1536), "o_proj": (1536, 1536)}
WIDTHS |= {"gate_proj": (8960, 1536), "up_proj": (8960, 1536), "down_proj": (1536, 8960)}
ROUNDS, LIMIT = 9, 500.0
TOKENIZER = {"tokens": 151_936, "vocabulary": "v", "rules": "r", "special": {"eos_token": "<|end|>"}}


def fill() -> tuple[Any, Any]:
    """A project whose pairs are of every kind: weights, templates and shapes that differ, a third of them probed."""
    from benchmarks.lineage import filling
    from projects.domain.permissions import Role
    from projects.models import Membership, Project, User
    from training.models import BaseModelVersion

    rng = random.Random(7)
    project = Project.objects.create(name="Matrix", slug=f"matrix-{time.time_ns()}")
    owner = User.objects.create_user(f"{project.slug}@example.org", "a long password")
    Membership.objects.create(user=owner, project=project, role=Role.OWNER.value)
    bases = filling._bases(project, owner, BASES)
    for n, base in enumerate(bases):
        base.parts = {
            "config": "c", "tokenizer": "t", "chat_template": f"template {n % 3}", "generation_config": "",
            "weights": {f"model-{shard}.safetensors": f"{n}-{shard}" for shard in range(8)},
        }  # fmt: skip
    BaseModelVersion.objects.bulk_update(bases, ["parts"])
    training, golden = filling._versions(project, owner, 20, rng)
    adapters = filling._adapters(project, owner, bases, training, {"run": ADAPTERS, "adapter": ADAPTERS}, rng)
    _anatomies(bases, adapters)
    _probes(project, owner, bases, adapters, golden[0], rng)
    return project, owner


def _anatomies(bases: list[Any], adapters: list[Any]) -> None:
    from training.domain import anatomy
    from training.models import AdapterAnatomy, BaseAnatomy

    linear = {f"model.layers.{n}.{name}.weight": sides for n in range(LAYERS) for name, sides in WIDTHS.items()}
    others = {f"model.layers.{n}.norm.weight": (1536,) for n in range(LAYERS)}
    wide = linear | {"lm_head.weight": (151_936, 2048)}
    for n, base in enumerate(bases):
        shapes = (wide if n % 5 == 4 else linear) | others
        facts = {"tensors": anatomy.fold(shapes), "config": {"rope_theta": 10_000 + n}, "tokenizer": TOKENIZER}
        BaseAnatomy.objects.create(base=base, facts=facts)
    pairs: dict[str, tuple[int, int]] = {}
    for name, (out, into) in linear.items():
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        pairs |= {f"{stem}.lora_A.weight": (RANK, into), f"{stem}.lora_B.weight": (out, RANK)}
    facts = {"rank": RANK, "modules": {}, "components": [], "scales": [2.0], "tensors": anatomy.fold(pairs)}
    AdapterAnatomy.objects.bulk_create([AdapterAnatomy(adapter=adapter, facts=facts) for adapter in adapters])


def _probes(project: Any, owner: Any, bases: list[Any], adapters: list[Any], golden: Any, rng: random.Random) -> None:
    from evaluation.models import Probe
    from training.models import BaseDecision

    figures = {"verdict": "drifted", "threshold": 1e-4, "prompts": 64, "tokens": 900}
    figures["effect"] = {"mean": -0.01, "low": -0.02, "high": 0.0, "own": 0.2, "other": 0.19}
    figures |= {"base": {"mean": 0.02, "low": 0.01, "high": 0.03}, "adapter": {"mean": 0.02, "low": 0.01, "high": 0.03}}
    pairs = [(a, b) for a in adapters for b in bases if a.base_id != b.pk and rng.random() < 1 / 3]
    common = {"project": project, "golden": golden, "created_by": owner, "state": "succeeded", "digest": "d" * 64}
    Probe.objects.bulk_create([Probe(adapter=a, base=b, figures=figures, **common) for a, b in pairs], batch_size=500)
    decided = {"project": project, "allowed": True, "verdict": "drifted", "reason": "Measured.", "decided_by": owner}
    BaseDecision.objects.bulk_create([BaseDecision(adapter=a, base=b, **decided) for a, b in pairs[::4]])


def measure(project: Any, owner: Any) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from training.selectors import compatibility

    pages = range(1, -(-ADAPTERS // 25) + 1)
    asks = [_page(project, owner, number) for number in pages]
    asks[0]()
    with CaptureQueriesContext(connection) as context:
        asks[0]()
    warm, cold = [], []
    for _ in range(ROUNDS):
        for ask in asks:
            compatibility._verdicts.clear()
            cold.append(_timed(ask))
            warm.append(_timed(ask))
    return {
        "adapters": ADAPTERS,
        "bases": BASES,
        "page_ms": round(statistics.median(warm), 1),
        "page_cold_ms": round(statistics.median(cold), 1),
        "page_worst_ms": round(max(cold), 1),
        "queries": len(context),
    }


def _page(project: Any, owner: Any, number: int) -> Any:
    from django.test import RequestFactory
    from django.urls import reverse
    from django_htmx.middleware import HtmxDetails

    from evaluation.views.compatibility import Matrix

    view, address = Matrix.as_view(), reverse("compatibility", args=[project.slug])

    def ask() -> None:
        request: Any = RequestFactory().get(f"{address}?page={number}")
        request.user, request.htmx = owner, HtmxDetails(request)
        if view(request, project=project.slug).status_code != 200:
            raise SystemExit(f"page {number} failed")

    return ask


def _timed(ask: Any) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def one() -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from config import wsgi  # noqa: F401 - as in the web process: loaded and frozen

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0)
    print(json.dumps(measure(*fill())))


def main() -> None:
    """In a process of its own, on a SQLite that goes with it."""
    with tempfile.TemporaryDirectory(prefix="luthier-matrix-") as folder:
        given = {"DATABASE_URL": f"sqlite:///{folder}/m.sqlite3", "LUTHIER_DATA": folder, "SECRET_KEY": "x" * 60}
        command = [sys.executable, "-m", "benchmarks.matrix", "one"]
        said = subprocess.run(
            command, env=os.environ | given | {"DEBUG": ""}, stdout=subprocess.PIPE, text=True, check=True
        )
    found = json.loads(said.stdout.splitlines()[-1])
    print(json.dumps(found | {"limit_ms": LIMIT, "within_limit": found["page_cold_ms"] < LIMIT}))


if __name__ == "__main__":
    one() if sys.argv[1:] else main()
