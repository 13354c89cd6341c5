"""Where a row comes from: people, production, a file or a model; under which licence, by whom, edited by whom.

Read from a record's own fields, or said once for a whole file. Accepted are an object `provenance` (also `_provenance`)
with the keys below, or the same keys at the top of the record where they cannot be mistaken for content:

    origin        human | production | file | synthetic (and the words of ORIGINS)    also: source_type
    teacher       the model that wrote it                 also: teacher_model, generator, generated_by
    licence       an SPDX name or any short text          also: license
    depth         0 by people, 1 by a model, n + 1 by a model trained on depth n       also: generation_depth
    contributor   who brought or wrote it                 also: annotator
    edits         [{"by", "at", "what"}], oldest first: added by reviews and recipes
"""

from collections.abc import Mapping
from typing import Any

HUMAN, PRODUCTION, FILE, SYNTHETIC = "human", "production", "file", "synthetic"
UNKNOWN = "unknown"
ORIGIN_NAMES = {
    HUMAN: "Written by people",
    PRODUCTION: "From production",
    FILE: "From a file",
    SYNTHETIC: "Written by a model",
    UNKNOWN: "Not said",
}
# Words that files use, and what they mean here.
ORIGINS = {
    **{word: HUMAN for word in ("human", "people", "person", "manual", "annotator", "expert", "user")},
    **{word: PRODUCTION for word in ("production", "log", "logs", "traffic", "live")},
    **{word: FILE for word in ("file", "import", "imported", "export", "document")},
    **{word: SYNTHETIC for word in ("synthetic", "model", "llm", "generated", "machine", "ai", "distilled", "gpt")},
}
NAMES = {
    "origin": ("origin", "source_type"),
    "teacher": ("teacher", "teacher_model", "generator", "generated_by"),
    "licence": ("licence", "license"),
    "depth": ("depth", "generation_depth"),
    "contributor": ("contributor", "annotator"),
}
# Without an enclosing object these are taken too; "depth" and "license" alone may be content of the record.
AT_THE_TOP = frozenset({"origin", "teacher_model", "generated_by", "generation_depth", "contributor", "annotator"})
LONGEST, DEEPEST, EDITS_KEPT = 120, 99, 20

Provenance = dict[str, Any]


def read(record: Mapping[str, Any]) -> Provenance | None:
    """What a record says about its own origin; None when it says nothing that is understood."""
    inside = record.get("provenance", record.get("_provenance"))
    if isinstance(inside, Mapping):
        return cleaned(inside)
    if not AT_THE_TOP & record.keys():
        return None
    return cleaned({name: record[name] for name in AT_THE_TOP & record.keys()})


def cleaned(said: Mapping[str, Any]) -> Provenance | None:
    """The same under our names, without what is empty or not understood."""
    found: Provenance = {}
    for name, spellings in NAMES.items():
        value = next((said[s] for s in spellings if said.get(s) not in (None, "")), None)
        understood = READERS[name](value)
        if understood is not None:
            found[name] = understood
    if "origin" not in found and ("teacher" in found or found.get("depth", 0) > 0):
        found["origin"] = SYNTHETIC
    edits = said.get("edits")
    if isinstance(edits, list):
        found["edits"] = [edit for edit in map(_edit, edits) if edit][-EDITS_KEPT:]
    return found or None


def merged(default: Provenance | None, own: Provenance | None) -> Provenance | None:
    """What a row says itself goes before what was said once for the whole file."""
    if not default:
        return own
    if not own:
        return dict(default)
    if own.get("origin", default.get("origin")) != default.get("origin"):
        # A row of another origin has nothing of the file's teacher and depth.
        default = {name: value for name, value in default.items() if name not in ("origin", "teacher", "depth")}
    return {**default, **own}


def edited(own: Provenance | None, *, by: str, at: str, what: str) -> Provenance:
    """The same with one more edit at the end."""
    before = own or {}
    edits = before.get("edits")
    edits = edits if isinstance(edits, list) else []  # a row may say anything
    return {**before, "edits": [*edits, {"by": by, "at": at, "what": what}][-EDITS_KEPT:]}


def depth(own: Mapping[str, Any]) -> int | None:
    """Generation depth: said, or 1 for a model's row of unsaid depth, 0 for people's and production's; else unknown."""
    if "depth" in own:
        return int(own["depth"])
    return {SYNTHETIC: 1, HUMAN: 0, PRODUCTION: 0}.get(own.get("origin", UNKNOWN))


def _origin(value: object) -> str | None:
    return ORIGINS.get(value.strip().casefold()) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    return " ".join(value.split())[:LONGEST] or None if isinstance(value, str) else None


def _depth(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 9:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= DEEPEST:
        return None
    return int(value)


def _edit(edit: object) -> Provenance | None:
    if not isinstance(edit, Mapping) or not isinstance(edit.get("by"), str):
        return None
    return {name: str(edit.get(name, ""))[:LONGEST] for name in ("by", "at", "what")}


READERS = {"origin": _origin, "teacher": _text, "licence": _text, "depth": _depth, "contributor": _text}
