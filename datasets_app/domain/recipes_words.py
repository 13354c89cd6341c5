"""Every step of a recipe as a sentence, and the names under which the builder offers them."""

from collections.abc import Callable, Mapping
from typing import Any

from datasets_app.domain.findings import about
from datasets_app.domain.recipes import Op

Args = Mapping[str, Any]
WHERE = {"all": "the whole row", "prompt": "the prompt", "answer": "the answer"}
BY = {"prompt": "prompt", "label": "label", "tag": "first tag", "source_id": "id in the source"}
TITLES = {
    Op.DEDUPE: "Drop exact duplicates",
    Op.DEDUPE_NEAR: "Drop near duplicates",
    Op.DROP_FINDING: "Drop the rows of a finding",
    Op.DROP_OVERLAP: "Drop rows that are in a golden set",
    Op.REDACT: "Redact secrets and personal data",
    Op.STRIP_HIDDEN: "Strip hidden characters",
    Op.MAP: "Change rows",
    Op.FILTER: "Keep or drop rows by what they are",
    Op.SAMPLE: "Take a sample",
    Op.MERGE: "Merge with other versions",
    Op.SPLIT: "Split into parts",
}


def listed(values: list[str]) -> str:
    return ", ".join(f"“{value}”" for value in values)


def percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _redact(args: Args) -> str:
    what = {"secret": "secrets", "personal": "personal data", "all": "secrets and personal data"}[args["group"]]
    kinds = f" ({', '.join(kind.replace('_', ' ') for kind in args['kinds'])})" if args.get("kinds") else ""
    mark = "its kind in brackets" if args["style"] == "kind" else "a pseudonym that is the same everywhere"
    return f"Replace {what}{kinds} by {mark}"


CHANGES: dict[str, Callable[[Args], str]] = {
    "rename_role": lambda a: f"Turn {a['from']} turns into {a['to']} turns",
    "set_system": lambda a: (
        f"{'Set' if a['replace'] else 'Where there is none, set'} the system prompt “{a['value'][:60]}”"
    ),
    "remove_system": lambda a: "Remove the system prompt",
    "replace": lambda a: f"Replace “{a['old'][:60]}” by “{a['new'][:60]}” in {WHERE[a['part']]}",
    "trim": lambda a: "Trim white space around every turn",
    "set_label": lambda a: f"Set the label “{a['value']}”" if a["value"] else "Remove the label",
    "add_tag": lambda a: f"Add the tag “{a['value']}”",
    "remove_tag": lambda a: f"Remove the tag “{a['value']}”",
}


def _between(args: Args, unit: str) -> str:
    least, most = args.get("least"), args.get("most")
    if least is None:
        return f"at most {most} {unit}"
    return f"at least {least} {unit}" if most is None else f"{least} to {most} {unit}"


CONDITIONS: dict[str, Callable[[Args], str]] = {
    "label": lambda a: f"the label {listed(a['values'])}",
    "tag": lambda a: f"the tag {listed(a['values'])}",
    "language": lambda a: f"the language {listed(a['values'])}",
    "origin": lambda a: f"the origin {listed(a['values'])}",
    "role": lambda a: f"a {' or '.join(a['values'])} turn",
    "text": lambda a: f"the text “{a['value'][:60]}” in {WHERE[a['part']]}",
    "length": lambda a: f"{_between(a, 'characters')} in {WHERE[a['part']]}",
    "turns": lambda a: _between(a, "turns"),
    "tools": lambda a: "tools",
}


def _filter(args: Args) -> str:
    return f"{'Keep' if args['keep'] else 'Drop'} rows with {CONDITIONS[args['field']](args)}"


def _sample(args: Args) -> str:
    size = f"{args['n']:,} rows".replace(",", "\u202f") if args.get("n") else f"{percent(args['share'])} of the rows"
    return f"Keep {size}, drawn with seed {args['seed']}{', each label in its share' if args['by_label'] else ''}"


def _split(args: Args) -> str:
    shares = ", ".join(f"{part['name']} {percent(part['share'])}" for part in args["parts"])
    part = f": the part “{args['part']}”" if args.get("part") else ""
    return f"Split by {BY[args['by']]} into {shares} (seed {args['seed']}), near duplicates kept together{part}"


def _overlap(args: Args) -> str:
    kinds = args.get("kinds")
    how = f" ({', '.join(kinds)})" if kinds else ""
    return f"Drop rows whose prompt is in a golden set{how}"


def _merge(args: Args) -> str:
    n = len(args["versions"])
    rest = "exact duplicates dropped" if args["duplicates"] == "drop" else "duplicates kept"
    return f"Add the rows of {n} other version{'s' if n > 1 else ''}, {rest}"


def _rows(args: Args) -> str:
    n = len(args["indices"])
    because = f": {args['reason']}" if args.get("reason") else ""
    return f"Drop {n} chosen row{'s' if n > 1 else ''}{because}"


def _edits(args: Args) -> str:
    n = len(args["edits"])
    return f"Put in {n} new answer{'s' if n > 1 else ''}"


WORDS: dict[Op, Callable[[Args], str]] = {
    Op.MERGE: _merge,
    Op.ASSEMBLE: lambda a: "Put rows that came in several files in the order of their lines",
    Op.RESTORE: lambda a: "Go back to the rows as they were",
    Op.DEDUPE: lambda a: "Keep the first of each exact duplicate",
    Op.DEDUPE_NEAR: lambda a: "Keep the first of each group of near duplicates",
    Op.DROP_FINDING: lambda a: f"Drop rows with “{about(a['code']).title}”",
    Op.DROP_OVERLAP: _overlap,
    Op.DROP_ROWS: _rows,
    Op.REDACT: _redact,
    Op.MASK_SECRETS: lambda a: "Mask secrets",
    Op.STRIP_HIDDEN: lambda a: "Strip characters nobody can see",
    Op.MAP: lambda a: CHANGES[a["do"]](a),
    Op.FILTER: _filter,
    Op.SAMPLE: _sample,
    Op.SPLIT: _split,
    Op.EDIT: _edits,
}
