"""The arguments of every step of a recipe: what is accepted, and a plain sentence for what is not."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from datasets_app.domain.findings import Found, about
from datasets_app.domain.provenance import ORIGIN_NAMES
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import BadRecipe, Op

Args: TypeAlias = dict[str, Any]
MOST_ROWS, MOST_TEXT, MOST_VALUES = 1_000_000, 4_000, 100
ROLES = ("system", "user", "assistant", "tool")
GROUPS = ("secret", "personal")
STYLES = ("kind", "pseudonym")
CHANGES = ("rename_role", "set_system", "remove_system", "replace", "trim", "set_label", "add_tag", "remove_tag")
FIELDS = ("label", "tag", "language", "length", "role", "text", "origin", "tools", "turns")
PARTS_OF = ("all", "prompt", "answer")
SPLIT_BY = ("prompt", "label", "tag", "source_id")
MOST_PARTS = 6
OVERLAP_KINDS = ("exact", "normalised", "ngram", "near")


class Arguments:
    """The fields of one step, taken one by one; whatever is left at the end is unknown."""

    def __init__(self, entry: Mapping[str, Any], n: int) -> None:
        self.left = {str(name): value for name, value in entry.items() if name != "op"}
        self.n = n

    def refuse(self, why: str) -> BadRecipe:
        return BadRecipe(f"Step {self.n}: {why}")

    def finish(self, args: Args) -> Args:
        if self.left:
            raise BadRecipe(f"Step {self.n} has unknown fields: {', '.join(sorted(self.left))}.")
        return {name: value for name, value in args.items() if value is not None}

    def choice(self, name: str, choices: tuple[str, ...], usual: str | None = None) -> str:
        value = self.left.pop(name, usual)
        if value not in choices:
            raise self.refuse(f"“{name}” is one of {', '.join(choices)}.")
        return str(value)

    def choices(self, name: str, known: tuple[str, ...]) -> list[str] | None:
        values = self.left.pop(name, None)
        if values is None or values == []:
            return None
        if not isinstance(values, list) or not all(value in known for value in values):
            raise self.refuse(f"“{name}” is a list out of {', '.join(known)}.")
        return sorted(set(values))

    def text(self, name: str, *, usual: str | None = None, empty: bool = False, most: int = MOST_TEXT) -> str:
        value = self.left.pop(name, usual)
        if not isinstance(value, str) or not (empty or value.strip()) or len(value) > most:
            raise self.refuse(f"“{name}” is a text of at most {most} characters{'' if empty else ' and not empty'}.")
        return value

    def texts(self, name: str) -> list[str] | None:
        values = self.left.pop(name, None)
        if values is None or values == []:
            return None
        values = [values] if isinstance(values, str) else values
        fits = isinstance(values, list) and len(values) <= MOST_VALUES
        if not fits or not all(isinstance(value, str) and 0 < len(value) <= 400 for value in values):
            raise self.refuse(f"“{name}” is a list of at most {MOST_VALUES} short texts.")
        return values

    def number(self, name: str, least: int, most: int, usual: int | None = None) -> int | None:
        value = self.left.pop(name, None)
        if value is None:
            return usual
        if type(value) is not int or not least <= value <= most:
            raise self.refuse(f"“{name}” is a whole number from {least} to {most}.")
        return value

    def share(self, name: str) -> float | None:
        value = self.left.pop(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise self.refuse(f"“{name}” is a share between 0 and 1, such as 0.1.")
        return float(value)

    def flag(self, name: str, usual: bool) -> bool:
        value = self.left.pop(name, usual)
        if not isinstance(value, bool):
            raise self.refuse(f"“{name}” is true or false.")
        return value

    def ids(self, name: str, why: str, most: int = MOST_ROWS) -> list[int]:
        values = self.left.pop(name, None)
        good = isinstance(values, list) and values and len(values) <= most
        if not good or not all(type(value) is int and 0 <= value < 2**53 for value in values):
            raise self.refuse(why)
        return sorted(set(values)) if name == "indices" else values


def read_args(op: Op, entry: Mapping[str, Any], n: int) -> Args:
    given = Arguments(entry, n)
    return given.finish(READERS[op](given))


def _nothing(given: Arguments) -> Args:
    return {}


def _drop_finding(given: Arguments) -> Args:
    code = given.left.pop("code", None)
    if code not in list(Found) or not about(str(code)).fix:
        raise given.refuse(f"rows cannot be dropped by “{code}”.")
    return {"code": str(code)}


def _drop_overlap(given: Arguments) -> Args:
    golden = given.ids("golden", "name the golden versions by their ids.", 100)
    return {"golden": golden, "kinds": given.choices("kinds", OVERLAP_KINDS)}


def _drop_rows(given: Arguments) -> Args:
    rows = given.ids("indices", "name the rows by their numbers in the version.")
    reason = given.text("reason", usual="", empty=True, most=300)
    return {"indices": rows, "reason": reason or None}


def _redact(given: Arguments) -> Args:
    group = given.choice("group", (*GROUPS, "all"), "all")
    kinds = given.texts("kinds")
    return {"group": group, "kinds": kinds, "style": given.choice("style", STYLES, "kind")}


def _map(given: Arguments) -> Args:
    do = given.choice("do", CHANGES)
    if do == "rename_role":
        return {"do": do, "from": given.choice("from", ROLES), "to": given.choice("to", ROLES)}
    if do == "set_system":
        return {"do": do, "value": given.text("value"), "replace": given.flag("replace", True)}
    if do == "replace":
        old = given.text("old", most=400)
        new = given.text("new", usual="", empty=True)
        return {"do": do, "old": old, "new": new, "part": given.choice("part", PARTS_OF, "all")}
    if do == "set_label":
        return {"do": do, "value": given.text("value", usual="", empty=True, most=200)}
    if do in ("add_tag", "remove_tag"):
        return {"do": do, "value": given.text("value", most=200)}
    return {"do": do}


def _filter(given: Arguments) -> Args:
    field, keep = given.choice("field", FIELDS), given.flag("keep", True)
    args: Args = {"field": field, "keep": keep}
    if field in ("label", "tag", "language", "origin", "role"):
        values = given.texts("values")
        if not values:
            raise given.refuse(f"name at least one {field}, as “values”.")
        _known(given, field, values)
        return {**args, "values": values}
    if field == "text":
        return {**args, "value": given.text("value", most=400), "part": given.choice("part", PARTS_OF, "all")}
    if field in ("length", "turns"):
        least, most = given.number("least", 0, 10**9), given.number("most", 0, 10**9)
        if least is None and most is None:
            raise given.refuse("say “least”, “most” or both.")
        if least is not None and most is not None and least > most:
            raise given.refuse("“least” is more than “most”.")
        part = given.choice("part", PARTS_OF, "all") if field == "length" else None
        return {**args, "least": least, "most": most, "part": part}
    return args


def _known(given: Arguments, field: str, values: list[str]) -> None:
    known = {"role": ROLES, "origin": tuple(ORIGIN_NAMES)}.get(field)
    if known and not set(values) <= set(known):
        raise given.refuse(f"a {field} is one of {', '.join(known)}.")


def _sample(given: Arguments) -> Args:
    n, share = given.number("n", 1, 10**9), given.share("share")
    if (n is None) == (share is None):
        raise given.refuse("say either how many rows (“n”) or which share of them (“share”).")
    seed = given.number("seed", 0, 2**31, 0)
    return {"n": n, "share": share, "seed": seed, "by_label": given.flag("by_label", False)}


def _split(given: Arguments) -> Args:
    by, seed = given.choice("by", SPLIT_BY, "prompt"), given.number("seed", 0, 2**31, 0)
    parts = given.left.pop("parts", None)
    if not isinstance(parts, list) or not 2 <= len(parts) <= MOST_PARTS:
        raise given.refuse(f"a split has 2 to {MOST_PARTS} parts.")
    read = [_part(given, part) for part in parts]
    names = [part["name"] for part in read]
    if len(set(names)) < len(names):
        raise given.refuse("every part needs a name of its own.")
    if abs(sum(part["share"] for part in read) - 1) > 1e-6:
        raise given.refuse("the shares of the parts must add up to 1 (100 %).")
    chosen = given.left.pop("part", None)
    if chosen is not None and chosen not in names:
        raise given.refuse(f"there is no part “{chosen}”.")
    return {"by": by, "parts": read, "seed": seed, "part": chosen}


def _part(given: Arguments, part: object) -> Args:
    inner = Arguments(part if isinstance(part, Mapping) else {}, given.n)
    name, share = inner.text("name", most=120), inner.share("share")
    if share is None:
        raise given.refuse(f"the part “{name}” needs a share between 0 and 1.")
    return inner.finish({"name": name, "share": share, "purpose": inner.choice("purpose", tuple(Purpose), "training")})


def _merge(given: Arguments) -> Args:
    versions = given.ids("versions", "name the versions to add by their ids.", 20)
    if len(set(versions)) < len(versions):
        raise given.refuse("a version is named twice.")
    return {"versions": versions, "duplicates": given.choice("duplicates", ("keep", "drop"), "keep")}


def _edit(given: Arguments) -> Args:
    edits = given.left.pop("edits", None)
    if not isinstance(edits, list) or not edits or len(edits) > MOST_ROWS:
        raise given.refuse("“edits” is a list of rows with their new answers.")
    return {"edits": [_edited(given, edit) for edit in edits]}


def _edited(given: Arguments, edit: object) -> Args:
    inner = Arguments(edit if isinstance(edit, Mapping) else {}, given.n)
    row = inner.number("row", 0, 2**53)
    if row is None:
        raise given.refuse("every edit names its row.")
    swap = inner.flag("swap", False)  # a preference pair whose rejected answer is the better one
    answer = None if swap else inner.text("answer", most=1_000_000)
    by, at = inner.text("by", usual="", empty=True), inner.text("at", usual="", empty=True)
    return inner.finish({"row": row, "answer": answer, "swap": swap or None, "by": by or None, "at": at or None})


READERS: dict[Op, Callable[[Arguments], Args]] = {
    Op.MERGE: _merge,
    Op.ASSEMBLE: _nothing,
    Op.RESTORE: _nothing,
    Op.DEDUPE: _nothing,
    Op.DEDUPE_NEAR: _nothing,
    Op.DROP_FINDING: _drop_finding,
    Op.DROP_OVERLAP: _drop_overlap,
    Op.DROP_ROWS: _drop_rows,
    Op.REDACT: _redact,
    Op.MASK_SECRETS: _nothing,
    Op.STRIP_HIDDEN: _nothing,
    Op.MAP: _map,
    Op.FILTER: _filter,
    Op.SAMPLE: _sample,
    Op.SPLIT: _split,
    Op.EDIT: _edit,
}
