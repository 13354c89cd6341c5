"""Model cards as the Hugging Face hub reads them: YAML front matter, then plain words."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """What was measured on a golden set: a share from 0 to 1 with its interval, where there is one."""

    dataset: str
    metric: str
    value: float
    n: int
    note: str = ""


def front_matter(
    *,
    base: str,
    relation: str,
    library: str,
    tags: Sequence[str],
    licence: str = "",
    licence_link: str = "",
    datasets: Sequence[str] = (),
    languages: Sequence[str] = (),
) -> dict[str, Any]:
    """The keys that the hub knows, in the order in which people read them. What is not known is left out."""
    told: dict[str, Any] = {
        "base_model": base,
        "base_model_relation": relation,
        "library_name": library,
        "pipeline_tag": "text-generation",
        "license": licence,
        "license_link": licence_link,
        "language": list(languages),
        "datasets": list(datasets),
        "tags": list(tags),
    }
    return {name: value for name, value in told.items() if value}


def dataset_name(label: str) -> str:
    """“Support tickets v3” as hubs name things: support-tickets-v3."""
    return re.sub(r"[^a-z0-9._]+", "-", label.lower()).strip("-.") or "dataset"


def index(name: str, results: Sequence[Result]) -> list[dict[str, Any]]:
    """The hub's model-index: one entry for each golden set and measure."""
    if not results:
        return []
    listed = [
        {
            "task": {"type": "text-generation"},
            "dataset": {"name": one.dataset, "type": "private"},
            "metrics": [{"type": one.metric, "value": round(one.value, 6), "name": f"{one.metric} on {one.n} rows"}],
        }
        for one in results
    ]
    return [{"name": name, "results": listed}]


def render(front: Mapping[str, Any], title: str, words: str, facts: Mapping[str, str], more: str = "") -> str:
    """JSON is YAML as well, and nothing of it is read as anything else than text."""
    yaml = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items())
    lines = "\n".join(f"| {name} | {_cell(value)} |" for name, value in facts.items() if value)
    return f"---\n{yaml}\n---\n\n# {_line(title)}\n\n{words}\n\n| | |\n|---|---|\n{lines}\n{more}"


def with_results(text: str, name: str, results: Sequence[Result], more: str) -> str:
    """A stored card with what has been measured since: in its front matter, and in words at its end."""
    head, mark, rest = text.partition("\n---\n")
    if not mark or not results:
        return text + more
    return f"{head}\nmodel-index: {json.dumps(index(name, results), ensure_ascii=False)}{mark}{rest}{more}"


def results_table(results: Sequence[Result]) -> str:
    if not results:
        return "\n## Results\n\nNot evaluated yet.\n"
    rows = "\n".join(
        f"| {_cell(one.dataset)} | {_cell(one.metric)} | {one.value:.3f} | {one.n} | {_cell(one.note)} |"
        for one in results
    )
    return f"\n## Results\n\n| golden set | measure | value | rows | |\n|---|---|---|---|---|\n{rows}\n"


def _cell(value: str) -> str:
    return _line(value).replace("|", "\\|")


def _line(value: str) -> str:
    return " ".join(str(value).split())
