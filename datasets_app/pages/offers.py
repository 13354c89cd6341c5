"""The steps that the builder of recipes offers, each with its controls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datasets_app.domain.provenance import ORIGIN_NAMES

Choice = tuple[str, str]
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


def grouped_offers() -> list[tuple[str, list[Choice]]]:
    groups: dict[str, list[Choice]] = {}
    for name, offer in OFFERS.items():
        groups.setdefault(offer.group, []).append((name, offer.title))
    return list(groups.items())
