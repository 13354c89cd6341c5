"""What a finding knows beyond its count: as sentences on the list, as tables on its own page."""

from collections.abc import Callable
from typing import Any

from datasets_app.domain.sensitive import kind_name
from datasets_app.selectors import FindingView
from projects.domain.formatting import number, percent

Detail = dict[str, Any]
Table = dict[str, Any]  # {"title", "head", "rows"}
PROBLEMS = {
    "missing": "is missing",
    "type": "has another type",
    "unknown": "is not expected",
    "value": "holds another value",
}


def detail_lines(finding: FindingView) -> list[str]:
    """What a finding knows beyond its count, as sentences."""
    writer = LINES.get(finding.code)
    return writer(finding.detail) if writer and finding.detail else []


def detail_tables(finding: FindingView) -> list[Table]:
    writer = TABLES.get(finding.code)
    return [table for table in writer(finding.detail) if table["rows"]] if writer and finding.detail else []


def kinds_of(finding: FindingView) -> list[tuple[str, int]]:
    """What was found how often, for a chart: kinds of personal data, of hidden signs, phrases."""
    kinds = finding.detail.get("kinds") or {}
    return sorted(((kind_name(kind), int(n)) for kind, n in kinds.items()), key=lambda pair: -pair[1])


def violation_text(violation: dict[str, Any]) -> str:
    text = f"{violation['path']} {PROBLEMS[violation['problem']]}"
    expected, found = violation.get("expected"), violation.get("found")
    if violation["problem"] == "missing":
        return f"{text} ({expected})" if expected else text
    if violation["problem"] == "unknown":
        return text
    return f"{text}: found {found}, expected {expected}"


def _kinds(detail: Detail) -> list[str]:
    kinds = detail.get("kinds") or {}
    return [", ".join(f"{kind_name(kind)} × {number(n)}" for kind, n in list(kinds.items())[:8])] if kinds else []


def _shapes(detail: Detail) -> list[str]:
    listed = [f"{number(v['rows'])} × {violation_text(v)}" for v in detail.get("violations", [])[:4]]
    return ["Usual fields: " + ", ".join(detail["usual"]), *listed]


def _outliers(detail: Detail) -> list[str]:
    longer, median = number(detail["longer_than"]), number(detail["median"])
    return [f"Longer than {longer} characters; the median is {median}."]


def _of(n: int, one: str) -> str:
    """“1 group”, “2 groups”."""
    return f"{number(n)} {one}{'' if n == 1 else 's'}"


def _near(detail: Detail) -> list[str]:
    return [f"{_of(detail['clusters'], 'group')}, the largest of {number(detail['largest'])} rows."]


def _languages(detail: Detail) -> list[str]:
    thin = [f"{name}: {number(n)}" for name, n in detail.get("thin", [])]
    other = detail.get("mismatched", 0)
    lines = [f"Mostly {detail['main']}. Few rows of {', '.join(thin)}."] if thin else []
    return lines + ([f"{number(other)} answers are in another language than their question."] if other else [])


def _edges(detail: Detail) -> list[str]:
    short, odd, long = (number(detail.get(name, 0)) for name in ("short", "odd", "long"))
    return [f"Very short prompts: {short}; without a letter: {odd}; four times as long as most: {long}."]


def _diversity(detail: Detail) -> list[str]:
    lines = []
    for drop in detail.get("against", []):
        pairs, triples = (percent(1 - ratio, 0) for ratio in drop["ratios"][1:])
        lines.append(
            f"After {number(drop['words'])} words: {pairs} fewer different pairs and {triples} fewer different triples "
            "of words than the parent."
        )
    return lines


LINES: dict[str, Callable[[Detail], list[str]]] = {
    "exact_duplicates": lambda d: [f"{_of(d['sets'], 'set')} of equal rows, the largest of {number(d['largest'])}."],
    "near_duplicates": _near,
    "conflicting_answers": lambda d: [f"{_of(d['prompts'], 'prompt')} with more than one answer."],
    "near_conflicts": lambda d: [f"Differing in form only: {_of(d['prompts'], 'prompt')}."],
    "secrets": _kinds,
    "personal_data": _kinds,
    "ip_addresses": _kinds,
    "hidden_unicode": _kinds,
    "bidi_controls": _kinds,
    "encoding_damage": _kinds,
    "prompt_injection": lambda d: [f"“{p['phrase']}” in {_of(p['rows'], 'row')}" for p in d.get("phrases", [])[:4]],
    "answer_json_shape": _shapes,
    "answer_not_json": lambda d: [f"{percent(d['json_share'])} of the answers are JSON."],
    "thin_classes": lambda d: [f"{c['source']}: “{c['value']}” in {_of(c['rows'], 'row')}" for c in d["classes"][:8]],
    "missing_labels": lambda d: [f"{percent(d['share'])} of the rows have a label."],
    "length_outliers": _outliers,
    "language_mix": _languages,
    "low_diversity": _diversity,
    "no_negative_examples": lambda d: [
        f"Rows that say no: {number(d['rows'])}; {number(d['enough'])} would be a beginning."
    ],
    "no_edge_cases": _edges,
    "few_rows": lambda d: [f"{_of(d['rows'], 'row')}; from {number(d['enough'])} on the numbers begin to hold."],
    "ignored_fields": lambda d: [", ".join(f"{name} ({number(n)})" for name, n in d["fields"])],
}


def _table(title: str, head: list[str], rows: list[list[Any]], *, counts: int = 1) -> Table:
    """The last `counts` columns hold counts."""
    first = len(head) - counts
    cells = [[{"text": cell, "num": n >= first} for n, cell in enumerate(row)] for row in rows]
    return {"title": title, "head": [{"text": name, "num": n >= first} for n, name in enumerate(head)], "rows": cells}


def _kind_table(detail: Detail) -> list[Table]:
    rows = detail.get("rows_of_kind") or {}
    counted = [[kind_name(k), number(n), number(rows.get(k, n))] for k, n in (detail.get("kinds") or {}).items()]
    return [_table("Kinds", ["Kind", "Places", "Rows"], counted, counts=2)]


def _schema_tables(detail: Detail) -> list[Table]:
    broken = [
        [v["path"], PROBLEMS[v["problem"]], v.get("found") or "–", v.get("expected") or "–", number(v["rows"])]
        for v in detail.get("violations", [])
    ]
    schema = [
        [
            path,
            " or ".join(rule["types"]),
            "yes" if rule["required"] or rule["share"] == 1 else percent(rule["share"], 0),
            ", ".join(rule.get("values", [])[:8]) or "any",
        ]
        for path, rule in (detail.get("schema") or {}).items()
    ]
    return [
        _table("What breaks the schema", ["Path", "Problem", "Found", "Expected", "Rows"], broken),
        _table("The schema of these answers", ["Path", "Type", "Always there", "Values"], schema, counts=0),
    ]


def _language_tables(detail: Detail) -> list[Table]:
    pairs = [[asked, answered, number(n)] for asked, answered, n in detail.get("pairs", []) or []]
    thin = [[name, number(n)] for name, n in detail.get("thin", [])]
    return [
        _table("Answers in another language", ["Question", "Answer", "Rows"], pairs),
        _table("Languages with few rows", ["Language", "Rows"], thin),
    ]


TABLES: dict[str, Callable[[Detail], list[Table]]] = {
    **dict.fromkeys(
        ("secrets", "personal_data", "ip_addresses", "hidden_unicode", "bidi_controls", "encoding_damage"), _kind_table
    ),
    "answer_json_shape": _schema_tables,
    "language_mix": _language_tables,
    "prompt_injection": lambda d: [
        _table(
            "Phrases",
            ["Phrase", "Language", "Rows"],
            [[p["phrase"], p.get("language", ""), number(p["rows"])] for p in d.get("phrases", [])],
        )
    ],
    "thin_classes": lambda d: [
        _table(
            "Classes",
            ["Where", "Class", "Rows"],
            [[c["source"], c["value"], number(c["rows"])] for c in d["classes"]],
        )
    ],
    "ignored_fields": lambda d: [_table("Fields", ["Field", "Rows"], [[name, number(n)] for name, n in d["fields"]])],
}
