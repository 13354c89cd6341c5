"""Luthier's own spec: written by hand, or the frozen one of a run as the API shows it."""

import difflib
from collections.abc import Mapping
from typing import Any

from training.domain.dialects.base import About, Dialect, Lost
from training.domain.dialects.rules import Rule, Work, told
from training.domain.recipe import KNOB, Method, Recipe, defaults
from training.domain.spec import VERSION


def version(work: Work, key: str, value: Any) -> None:
    if value == VERSION and not isinstance(value, bool):
        work.agree(key, value, "The version that is read here.")
    else:
        older = isinstance(value, int) and value < VERSION
        text = (
            f"This spec is of version {told(value)}; version {VERSION} is read here. Export the run again from its "
            f"page, or write the settings under “recipe” anew and set version: {VERSION}."
            if older
            else f"This spec is of version {told(value)}, but version {VERSION} is read here. Update this Luthier, or "
            f"export the run from its page in the words of another tool."
        )
        work.refuse(key, value, text, "spec_version", leave_out=False)


def part(name_key: str, hash_key: str, name_field: str, hash_field: str) -> Rule:
    """Base, data or parent: a name, or an object with its name and hash."""

    def rule(work: Work, key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            name, digest = value.get(name_key, ""), value.get(hash_key, "")
        else:
            name, digest = value, ""
        if not isinstance(name, str) or not isinstance(digest, str):
            work.refuse(key, value, f"Write {key}: NAME, or {key} with {name_key} and {hash_key}.", "not_a_name", False)
            return
        setattr(work.reading, name_field, name[:300])
        if hash_field:
            setattr(work.reading, hash_field, digest[:64])
        if key == "base" and isinstance(value, Mapping):
            work.reading.revision = str(value.get("revision") or "")[:100]
        if name or digest:
            work.agree(key, name or digest[:12], "Looked up among what this project has.")

    return rule


def label(work: Work, key: str, value: Any) -> None:
    work.reading.name = told(value)[:120]
    work.agree(key, value, "The name of the run.")


def recipe(work: Work, key: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        work.refuse(key, value, "Under “recipe” stand the settings, one “key: value” a line.", "not_a_mapping", False)
        return
    for name, setting in value.items():
        if name in KNOB:
            work.set(name, name, setting)
        else:
            close = difflib.get_close_matches(str(name), list(KNOB), 1, 0.5)
            hint = f" Did you mean “{close[0]}”?" if close else ""
            work.refuse(
                str(name), setting, f"There is no setting called “{told(name)}”.{hint}", "unknown_setting", False
            )


def method(work: Work) -> str:
    given = work.given.get("recipe")
    named = given.get("method", "sft") if isinstance(given, Mapping) else "sft"
    return named if named in set(Method) else "sft"


def packages(work: Work, key: str, value: Any) -> None:
    work.ignore(key, value, "Packages are those of the worker. Another version can end in slightly other numbers.")


RULES: dict[str, Rule] = {
    "version": version,
    "label": label,
    "name": label,
    "base": part("name", "fingerprint", "base", "fingerprint"),
    "data": part("label", "content_hash", "data", "content_hash"),
    "validation": part("label", "content_hash", "validation", "validation_hash"),
    "parent": part("label", "digest", "parent", ""),
    "recipe": recipe,
    "packages": packages,
}


def check(work: Work) -> None:
    if "version" not in work.given:
        work.refuse("version", None, f"The spec does not say its version. Write version: {VERSION}.", "spec_version",
                    leave_out=False)  # fmt: skip
    if "recipe" not in work.given:
        work.refuse("recipe", None, "The spec has no “recipe”. Write the settings under it.", "no_recipe",
                    leave_out=False)  # fmt: skip


def write(recipe: Recipe, about: About) -> dict[str, Any]:
    base = {"name": about.base, "revision": about.revision, "fingerprint": about.fingerprint}
    data = {"label": about.data, "content_hash": about.content_hash}
    values: dict[str, Any] = {
        "version": VERSION,
        "label": about.name,
        "base": {key: value for key, value in base.items() if value},
        "data": {key: value for key, value in data.items() if value},
    }
    if about.validation:
        values["validation"] = {"label": about.validation, "content_hash": about.validation_hash}
    if about.parent:
        values["parent"] = {"label": about.parent, "digest": about.parent_digest}
    knobs = {name: value for name, value in recipe.as_dict().items() if Method(recipe.method) in KNOB[name].methods}
    return values | {"recipe": knobs}


def lost(recipe: Recipe, about: About) -> list[Lost]:
    return []


LUTHIER = Dialect(
    name="luthier",
    label="Luthier",
    rules=RULES,
    signature=frozenset({"version", "recipe", "label", "base", "data", "packages"}),
    method=method,
    check=check,
    defaults=lambda method, given: {
        name: value
        for name, value in defaults(method).items()
        if name != "method" and Method(method) in KNOB[name].methods
    },
    write=write,
    lost=lost,
    command=lambda recipe, file: f"luthier launch {file}",
)
