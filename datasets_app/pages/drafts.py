"""A recipe in the making, as a form: steps with their fields, added, moved and removed, and what they stand for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datasets_app import selectors
from datasets_app.domain.findings import about
from datasets_app.domain.recipes import Op, portable
from datasets_app.models import DatasetVersion
from datasets_app.pages.offers import MOST_PARTS, OFFERS, Choice, Field

Raw = dict[str, Any]


@dataclass
class Draft:
    """Steps as they stand in the form: the name of an offer and the raw text of its fields."""

    steps: list[Raw]

    @classmethod
    def of_post(cls, post: Any) -> "Draft":
        """From fields named `step-0-kind`, `step-0-value` …; what is not of an offer is left out."""
        steps = []
        for n in range(min(len(post.getlist("step")), 40)):
            kind = post.getlist("step")[n]
            if kind in OFFERS:
                names = [one.name for one in OFFERS[kind].fields]
                values = {
                    one.name: post.getlist(f"step-{n}-{one.name}")
                    if one.kind == "many"
                    else post.get(f"step-{n}-{one.name}", "")
                    for one in OFFERS[kind].fields
                }
                steps.append({"kind": kind, **{name: values[name] for name in names}})
        return cls(steps)

    @classmethod
    def of_steps(cls, steps: list[dict[str, Any]]) -> "Draft":
        """From steps as they are stored; those that name single rows cannot be followed elsewhere and are left out."""
        return cls([_raw(step) for step in portable(steps) if _offer_of(step)])

    def changed(self, do: str) -> None:
        """One click: "add:dedupe", "up:2", "down:0", "remove:1"."""
        action, _, argument = do.partition(":")
        if action == "add" and argument in OFFERS:
            self.steps.append({"kind": argument, **{one.name: one.usual for one in OFFERS[argument].fields}})
            return
        n = int(argument) if argument.isascii() and argument.isdigit() and len(argument) < 4 else -1
        if not 0 <= n < len(self.steps):
            return
        if action == "remove":
            del self.steps[n]
        other = n + {"up": -1, "down": 1}.get(action, 0)
        if action in ("up", "down") and 0 <= other < len(self.steps):
            self.steps[n], self.steps[other] = self.steps[other], self.steps[n]

    def as_steps(self) -> list[dict[str, Any]]:
        """What the services read; whether it makes sense is for them to say."""
        return [_step(raw) for raw in self.steps]

    def shown(self, version: DatasetVersion) -> list[dict[str, Any]]:
        """Every step with its controls and their values, for the page."""
        lists = choices_of(version)
        return [
            {
                "n": n,
                "kind": raw["kind"],
                "title": OFFERS[raw["kind"]].title,
                "controls": [
                    {
                        "field": one,
                        "name": f"step-{n}-{one.name}",
                        "value": raw.get(one.name, ""),
                        "choices": lists.get(one.name, one.choices) if one.kind in ("many", "select") else (),
                    }
                    for one in OFFERS[raw["kind"]].fields
                ],
            }
            for n, raw in enumerate(self.steps)
        ]


def choices_of(version: DatasetVersion) -> dict[str, list[Choice]]:
    """The lists that depend on the version: its findings, the golden sets, versions of its kind."""
    golden = selectors.golden_versions(version.project).exclude(dataset=version.dataset).order_by("-pk")
    others = selectors.usable_versions(version.project).filter(kind=version.kind).exclude(pk=version.pk)
    return {
        "code": [(f.code, f"{f.title} ({f.count})") for f in selectors.findings(version) if about(f.code).fix],
        "golden": [(str(one.pk), str(one)) for one in golden[:100]],
        "versions": [(str(one.pk), f"{one}, {one.rows} rows") for one in others[:100]],
    }


def _step(raw: Raw) -> dict[str, Any]:
    offer = OFFERS[raw["kind"]]
    args = {one.name: READ[one.kind](raw.get(one.name, "")) for one in offer.fields}
    if offer.op == "split":
        return {"op": "split", "by": args["by"], "seed": args["seed"] or 0, "parts": _parts(args)}
    if "keep" in args:
        args["keep"] = args["keep"] != "no"
    empty_means_something = ("new", "replace", "by_label") if raw["kind"] != "set_label" else ("value",)
    kept = {name: value for name, value in args.items() if value not in (None, "", []) or name in empty_means_something}
    return {"op": offer.op, **offer.fixed, **kept}


def _parts(args: Raw) -> list[dict[str, Any]]:
    return [
        {"name": args[f"name{n}"].strip(), "share": args[f"share{n}"], "purpose": args[f"purpose{n}"]}
        for n in range(1, MOST_PARTS + 1)
        if args[f"name{n}"].strip() or args[f"share{n}"]
    ]


def _number(text: str) -> Any:
    plain = text.strip().replace("\u202f", "").replace(" ", "")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 12 else plain or None


def _percent(text: str) -> Any:
    try:
        return round(float(text.strip().rstrip("%").replace(",", ".")) / 100, 9)
    except ValueError:
        return text.strip() or None


def _many(values: Any) -> list[Any]:
    listed = values if isinstance(values, list) else [values]
    return [_number(value) for value in listed if value]


READ: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "area": str,
    "select": str,
    "number": _number,
    "percent": _percent,
    "texts": lambda text: [part.strip() for part in text.split(",") if part.strip()],
    "many": _many,
    "check": bool,
}


def _offer_of(step: dict[str, Any]) -> str:
    op = "redact" if step["op"] == Op.MASK_SECRETS else step["op"]
    names = [n for n, o in OFFERS.items() if o.op == op and all(step.get(k) == v for k, v in o.fixed.items())]
    return names[0] if names else ""


def _raw(step: dict[str, Any]) -> Raw:
    kind = _offer_of(step)
    given = {**step, "group": "secret"} if step["op"] == Op.MASK_SECRETS else dict(step)
    for n, part in enumerate(step.get("parts", []), 1):
        given |= {f"{name}{n}": part[name] for name in ("name", "share", "purpose")}
    return {"kind": kind, **{one.name: _written(one, given.get(one.name, one.usual)) for one in OFFERS[kind].fields}}


def _written(one: Field, value: Any) -> Any:
    """A value as its control shows it."""
    if one.name == "keep":
        return "no" if value is False else "yes"
    if one.kind == "check":
        return "yes" if value else ""
    if one.kind == "percent":
        return f"{value * 100:.6g}" if isinstance(value, float | int) else ""
    if one.kind == "many":
        return [str(part) for part in value] if isinstance(value, list) else []
    return ", ".join(value) if isinstance(value, list) else str(value)
