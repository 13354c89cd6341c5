"""What a bill of materials and a card say of an adapter or of a model made of it: facts of rows, put together."""

from typing import Any

from django.utils import timezone

from projects import contributions, probes
from projects.contributions import RunScore
from training.domain import bom, model_card
from training.domain.adapters import CARD
from training.domain.bom import Bill, Data, Files, Measured, Model
from training.domain.model_card import Result
from training.models import Adapter, BaseModelVersion, DerivedModel
from training.selectors.adapters import adapter_path
from training.selectors.derived import derived_path, file_name
from training.selectors.runs import cost_so_far


def adapter_bill(adapter: Adapter) -> dict[str, Any]:
    """CycloneDX of an adapter: base and parent as ancestors, its data, its files, what golden sets said."""
    subject = Model(
        ref=f"adapter:{adapter.pk}",
        name=adapter.name,
        version=adapter.digest,
        description=f"A LoRA adapter of {adapter.base.name}",
        licence=adapter.base.licence,
        architecture=adapter.base.architecture,
        files=_files(adapter.manifest),
        properties=_making(adapter),
    )
    return bom.render(_bill(adapter, subject, [_base(adapter.base), *_parents(adapter)], adapter_scores(adapter)))


def derived_bill(row: DerivedModel) -> dict[str, Any]:
    """The same of a merged or quantised model, whose ancestors are base and adapter."""
    derived_path(row)  # nobody gets a bill of bytes that are not there
    adapter, kind = row.adapter, row.read_kind
    above = Model(
        ref=f"adapter:{adapter.pk}",
        name=adapter.name,
        version=adapter.digest,
        description="The adapter that was added",
        files=_files(adapter.manifest),
        properties=_making(adapter),
    )
    properties = {
        "kind": row.kind,
        "format": "safetensors, pack-quantized (compressed-tensors)" if kind.bits else "safetensors",
        "bits": str(kind.bits or ""),
        "group": str(kind.group or ""),
        "numbers": str(row.facts.get("dtype", "")),
        "parameters": str(row.facts.get("parameters", "")),
    }
    subject = Model(
        ref=f"{kind.node}:{row.pk}",
        name=str(row),
        version=row.digest,
        description=f"{adapter.base.name} with {adapter.name} merged into it"
        + (f", weights of linear layers in {kind.bits} bits" if kind.bits else ""),
        licence=adapter.base.licence,
        architecture=adapter.base.architecture,
        files=_files(row.manifest),
        properties=properties,
    )
    ancestors = [_base(adapter.base), above, *_parents(adapter)]
    bill = _bill(adapter, subject, ancestors, derived_scores(row), packages=row.told.get("packages") or {})
    return bom.render(bill)


def _bill(
    adapter: Adapter, subject: Model, ancestors: list[Model], scores: list[RunScore], packages: Any = None
) -> Bill:
    spec = adapter.run.spec if adapter.run else {}
    return Bill(
        subject=subject,
        ancestors=ancestors,
        data=_data(adapter),
        measured=[Measured(one.measure, one.value, one.n) for one in scores]
        + [Measured(f"Difference of {one.measure}", one.difference, one.n, one.low, one.high) for one in scores],
        packages=dict(packages or spec.get("packages") or {}),
        limitations=_limitations(adapter, scores),
        tool_version=probes.own_version(),
        at=timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _limitations(adapter: Adapter, scores: list[RunScore]) -> list[str]:
    found = [f"{one.text} ({one.code})" for one in adapter.found]
    if adapter.is_unproven:
        found.append("Nothing proves that it was trained on exactly this version of its base.")
    if adapter.dataset_version is None:
        found.append("What it was trained on is not known.")
    if not scores:
        found.append("It has not been evaluated on a golden set.")
    return found


def _base(base: BaseModelVersion) -> Model:
    hashes = {name: (sha256, base.parts.get("sizes", {}).get(name)) for name, sha256 in _weights(base).items()}
    properties = {
        "fingerprint": base.fingerprint,
        "repository": base.repo_id,
        "revision": base.revision,
        "parameters": str(base.parameters or ""),
        **{f"sha256 of {part}": str(base.parts.get(part) or "") for part in ("config", "tokenizer", "chat_template")},
    }
    return Model(
        ref=f"base:{base.pk}",
        name=base.repo_id or base.name,
        version=base.revision or base.fingerprint,
        licence=base.licence,
        architecture=base.architecture,
        description="The base model",
        files=Files(hashes),
        properties=properties,
    )


def _weights(base: BaseModelVersion) -> dict[str, str]:
    return dict(base.parts.get("weights") or {})


def _parents(adapter: Adapter) -> list[Model]:
    """The adapters that it goes on from, the nearest first."""
    found: list[Model] = []
    parent = adapter.parent
    while parent is not None and len(found) < 20:
        found.append(
            Model(f"adapter:{parent.pk}", parent.name, parent.digest, "The adapter it goes on from",
                  files=_files(parent.manifest))
        )  # fmt: skip
        parent = parent.parent
    return found


def _data(adapter: Adapter) -> list[Data]:
    version = adapter.dataset_version
    if version is None:
        return []
    note = "" if adapter.run else "As declared by whoever imported the adapter."
    name, number = version.dataset.name, f"v{version.number}"
    return [Data(f"version:{version.pk}", name, number, version.content_hash, version.rows, note)]


def _making(adapter: Adapter) -> dict[str, str]:
    told = {"method": adapter.method, "rank": str(adapter.rank), "alpha": str(adapter.alpha)}
    run = adapter.run
    if run is None:
        return told | {"origin": adapter.imported.source if adapter.imported else ""}
    recipe = run.read_recipe
    return told | {
        "seed": str(recipe.seed),
        "learning rate": f"{recipe.learning_rate:g}",
        "steps": str(run.step),
        "tokens": str(run.tokens_seen),
        "device": run.device_name or run.device,
        "cost": f"{cost_so_far(run, timezone.now()):.4f} {run.project.currency}",
    }


def _files(manifest: dict[str, Any]) -> Files:
    return Files({name: (entry["sha256"], entry["size"]) for name, entry in (manifest.get("files") or {}).items()})


# What golden sets said, as apps above tell it


def adapter_scores(adapter: Adapter) -> list[RunScore]:
    return [
        score for examiner in contributions.examiners for score in examiner.scores([adapter.pk]).get(adapter.pk, [])
    ]


def derived_scores(row: DerivedModel) -> list[RunScore]:
    return [
        score for examiner in contributions.examiners for score in examiner.derived_scores([row.pk]).get(row.pk, [])
    ]


# Cards


def adapter_card(adapter: Adapter) -> str:
    """The stored README.md with what has been measured since."""
    text = (adapter_path(adapter) / CARD).read_text(encoding="utf-8")
    return _with_results(text, adapter.name, adapter_scores(adapter), "against its base")


def derived_card(row: DerivedModel) -> str:
    text = (derived_path(row) / CARD).read_text(encoding="utf-8")
    return _with_results(text, file_name(row), derived_scores(row), "against the adapter on its base")


def _with_results(text: str, name: str, scores: list[RunScore], words: str) -> str:
    results = [
        Result(
            one.golden or one.measure,
            one.grader or "score",
            one.value,
            one.n,
            f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}] {words}",
        )
        for one in scores
    ]
    return model_card.with_results(text, name, results, model_card.results_table(results))


def bill_of(thing: Adapter | DerivedModel) -> dict[str, Any]:
    return adapter_bill(thing) if isinstance(thing, Adapter) else derived_bill(thing)


def card_of(thing: Adapter | DerivedModel) -> str:
    return adapter_card(thing) if isinstance(thing, Adapter) else derived_card(thing)
