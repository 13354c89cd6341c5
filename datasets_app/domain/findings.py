"""What can be wrong with a set of rows: each finding with its weight, its reason and its remedy.

`python -m datasets_app.domain.findings` prints docs/findings.md; a test keeps the two equal.
"""

from datasets_app.domain.findings_codes import About, Found, Severity
from datasets_app.domain.findings_of_rows import OF_ROWS
from datasets_app.domain.findings_of_sets import OF_SETS

__all__ = ["ABOUT", "SEVERITIES", "About", "Found", "Severity", "about", "as_markdown", "known"]

ABOUT: dict[Found, About] = {found: (OF_ROWS | OF_SETS)[found] for found in Found}
SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.INFO)
POLICY = {
    Severity.ERROR: "Do not train on it, and do not measure with it, before it is mended or somebody has said why not.",
    Severity.WARNING: "Usable, but worse than it could be: look before you train.",
    Severity.INFO: "Worth knowing; nothing has to be done.",
}

# Thresholds, in one place so that a test can plant rows on both sides of them.
JSON_SHARE = 0.8  # from here on, JSON is what the set's answers are
SHAPE_SHARE = 0.8
LABEL_SHARE = 0.8  # from here on, a row without a label lacks one
FREE_TEXT = 40  # characters of the median answer: below, answers are labels
ENOUGH_FOR_EDGES, SHARE_OF_EDGES = 200, 0.001
SENTENCE_SHARE = 0.9  # from here on, prose that just stops is cut
ENOUGH_ANSWERS = 20
THIN_CLASS = 10
MOST_CLASSES = 60
ENOUGH_ROWS = {"training": 50, "golden": 50, "retention": 20}


def about(code: str) -> About:
    return ABOUT[Found(code)]


def known(code: str) -> bool:
    return code in set(Found)


def as_markdown() -> str:
    lines = [
        "# Findings",
        "",
        "Written by `python -m datasets_app.domain.findings`; codes are stable, their wording may improve.",
        "",
        "| severity | what it means |",
        "| --- | --- |",
        *(f"| {severity.value} | {meaning} |" for severity, meaning in POLICY.items()),
        "",
        "A finding can be dismissed with a reason. It no longer counts then, in this version and in later ones, and "
        "comes back when it grows by more than a fifth or becomes heavier.",
        "",
    ]
    for heading, table in (("Of single rows", OF_ROWS), ("Of the whole set", OF_SETS)):
        lines += [f"## {heading}", ""]
        for found in (found for found in Found if found in table):
            said = ABOUT[found]
            fix = f" One click: `{said.fix}`." if said.fix else ""
            lines += [f"### {said.title}", "", f"`{found.value}` · {said.severity.value}", ""]
            lines += [f"{said.why} {said.remedy}{fix}", "", f"Raised when: {said.when}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(), end="")
