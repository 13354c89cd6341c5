"""A recipe in the making, as a form: steps with their fields, added, moved and removed, and what they stand for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from datasets_app import selectors
from datasets_app.domain.findings import about
from datasets_app.domain.provenance import ORIGIN_NAMES
from datasets_app.domain.recipes import Op, portable
from datasets_app.models import DatasetVersion

Choice = tuple[str, str]
Raw = dict[str, Any]
PARTS: list[Choice] = [("all", "The whole row"), ("prompt", "The prompt"), ("answer", "The answer")]
KEEP: list[Choice] = [("yes", "Keep them"), ("no", "Drop them")]
ROLES: list[Choice] = [(role, role) for role in ("system", "user", "assistant", "tool")]
PURPOSES: list[Choice] = [("training", "Training"), ("golden", "Golden set"), ("retention", "Retention set")]
MOST_PARTS = 4


@dataclass(frozen=True)
class Field:
    """One control of a step. `kind` is text, area, number, percent, texts (with commas), select, many or check."""

    name: str
    label: str
    kind: str = "text"
    choices: tuple[Choice, ...] | list[Choice] = ()
    usual: str = ""
    help: str = ""


@dataclass(frozen=True)
class Offer:
    """One entry of the list of steps: its operation, what is fixed, what is asked."""

    title: str
    group: str
    op: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()


KEPT = Field("keep", "What happens to them", "select", KEEP, "yes")
PART = Field("part", "Where", "select", PARTS, "all")
SEED = Field("seed", "Seed", "number", usual="0", help="The same seed draws the same rows.")


def _filter(title: str, name: str, *fields: Field) -> Offer:
    return Offer(title, "Keep or drop", "filter", {"field": name}, (KEPT, *fields))


def _values(label: str, choices: list[Choice] | None = None) -> Field:
    kind = "many" if choices else "texts"
    return Field("values", label, kind, choices or (), help="" if choices else "Several, with commas between them.")


def _range(unit: str) -> tuple[Field, Field]:
    return Field("least", f"At least ({unit})", "number"), Field("most", f"At most ({unit})", "number")


SPLIT_FIELDS = (
    Field(
        "by",
        "Rows that stay together",
        "select",
        [("prompt", "Same prompt"), ("label", "Same label"), ("tag", "Same first tag"), ("source_id", "Same id")],
        "prompt",
        "Near duplicates always stay together.",
    ),
    *(
        one
        for n in range(1, MOST_PARTS + 1)
        for one in (
            Field(f"name{n}", f"Dataset of part {n}", help="" if n > 1 else "Made when there is none of this name."),
            Field(f"share{n}", "Share in %", "percent"),
            Field(f"purpose{n}", "For", "select", PURPOSES, "training" if n == 1 else "golden"),
        )
    ),
    SEED,
)
OFFERS: dict[str, Offer] = {
    "dedupe": Offer("Drop exact duplicates", "Clean", "dedupe"),
    "dedupe_near": Offer("Drop near duplicates", "Clean", "dedupe_near"),
    "drop_finding": Offer(
        "Drop the rows of a finding", "Clean", "drop_finding", fields=(Field("code", "Finding", "select"),)
    ),
    "drop_overlap": Offer(
        "Drop rows that are in a golden set", "Clean", "drop_overlap", fields=(Field("golden", "Golden sets", "many"),)
    ),
    "redact": Offer(
        "Redact secrets and personal data",
        "Clean",
        "redact",
        fields=(
            Field(
                "group",
                "What",
                "select",
                [("all", "Both"), ("secret", "Secrets"), ("personal", "Personal data")],
                "all",
            ),
            Field(
                "style", "By", "select", [("kind", "Its kind: [email]"), ("pseudonym", "A stable pseudonym")], "kind"
            ),
        ),
    ),
    "strip_hidden": Offer("Strip hidden characters", "Clean", "strip_hidden"),
    "trim": Offer("Trim white space", "Change", "map", {"do": "trim"}),
    "replace": Offer(
        "Replace a text",
        "Change",
        "map",
        {"do": "replace"},
        (Field("old", "This text"), Field("new", "By this"), PART),
    ),
    "set_system": Offer(
        "Set the system prompt",
        "Change",
        "map",
        {"do": "set_system"},
        (
            Field("value", "System prompt", "area"),
            Field("replace", "Also where there is one already", "check", usual="yes"),
        ),
    ),
    "remove_system": Offer("Remove the system prompt", "Change", "map", {"do": "remove_system"}),
    "rename_role": Offer(
        "Rename a role",
        "Change",
        "map",
        {"do": "rename_role"},
        (Field("from", "Turns of", "select", ROLES, "user"), Field("to", "Become turns of", "select", ROLES, "user")),
    ),
    "set_label": Offer("Set the label", "Change", "map", {"do": "set_label"}, (Field("value", "Label"),)),
    "add_tag": Offer("Add a tag", "Change", "map", {"do": "add_tag"}, (Field("value", "Tag"),)),
    "remove_tag": Offer("Remove a tag", "Change", "map", {"do": "remove_tag"}, (Field("value", "Tag"),)),
    "filter_label": _filter("Rows with a label", "label", _values("Labels")),
    "filter_tag": _filter("Rows with a tag", "tag", _values("Tags")),
    "filter_text": _filter("Rows with a text", "text", Field("value", "Text"), PART),
    "filter_length": _filter("Rows by length", "length", *_range("characters"), PART),
    "filter_turns": _filter("Rows by turns", "turns", *_range("turns")),
    "filter_role": _filter("Rows with a role", "role", _values("Roles", ROLES)),
    "filter_language": _filter("Rows in a language", "language", _values("Languages, as en, de")),
    "filter_origin": _filter("Rows by origin", "origin", _values("Origins", list(ORIGIN_NAMES.items()))),
    "filter_tools": _filter("Rows with tools", "tools"),
    "sample": Offer(
        "Take a sample",
        "Size",
        "sample",
        fields=(
            Field("n", "Rows", "number"),
            Field("share", "or share in %", "percent"),
            Field("by_label", "Each label in its share", "check"),
            SEED,
        ),
    ),
    "merge": Offer(
        "Merge with other versions",
        "Size",
        "merge",
        fields=(
            Field("versions", "Versions", "many"),
            Field("duplicates", "Equal rows", "select", [("keep", "Keep all"), ("drop", "Keep the first")], "drop"),
        ),
    ),
    "split": Offer("Split into parts", "Size", "split", fields=SPLIT_FIELDS),
}


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


def grouped_offers() -> list[tuple[str, list[Choice]]]:
    groups: dict[str, list[Choice]] = {}
    for name, offer in OFFERS.items():
        groups.setdefault(offer.group, []).append((name, offer.title))
    return list(groups.items())


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
