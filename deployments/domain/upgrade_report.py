"""The report of an upgrade as Markdown, from the dict that is kept and sent by the API."""

from collections.abc import Mapping
from typing import Any

from deployments.domain.upgrades import LABELS, Outcome
from evaluation.domain.verdicts import points

ESCAPED = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})


def markdown(report: Mapping[str, Any]) -> str:
    """A heading, the answer, a table of figures, and a sentence for each adapter. Names are shown, never read."""
    old, new = report["old"], report["new"]
    lines = [
        f"# {_plain(old['name'])} → {_plain(new['name'])}",
        "",
        report["headline"],
        "",
        f"Not worse means: the 95 % interval of the difference lies above −{report['margin'] * 100:g} points. "
        f"Cost: {report['cost']} {report['currency']}.",
        "",
        "| Adapter | Live | Outcome | Drift (nats a token) | Old | Carried over | Retrained | Replaced by | Cost |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(one) for one in report["adapters"]),
        "",
    ]
    lines += [f"- **{_plain(one['name'])}**: {_plain(one['why'])}" for one in report["adapters"]]
    lines += ["", f"Old: `{old['fingerprint']}`  ", f"New: `{new['fingerprint']}`", ""]
    return "\n".join(lines)


def _row(one: Mapping[str, Any]) -> str:
    arms = one["carried"] or one["retrained"]
    made = one["replacement"]
    cells = [
        _plain(one["name"]),
        _plain(", ".join(one["live"])) or "–",
        LABELS[Outcome(one["outcome"])],
        _drift(one["drift"]),
        f"{arms['old']['mean'] * 100:.1f} %" if arms else "–",
        _score(one["carried"]),
        _score(one["retrained"]),
        _plain(made["name"]) if made else "–",
        one["cost"],
    ]
    return f"| {' | '.join(cells)} |"


def _score(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "–"
    interval = f"{points(found['low'])} to {points(found['high'])}"
    return f"{found['new']['mean'] * 100:.1f} % ({points(found['difference'])}: {interval})"


def _drift(found: Mapping[str, float] | None) -> str:
    return f"{found['mean']:.3g} ({found['low']:.3g} to {found['high']:.3g})" if found else "–"


def _plain(text: Any) -> str:
    """Text without what Markdown would read into it."""
    return " ".join(str(text).split()).translate(ESCAPED)
