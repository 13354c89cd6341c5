"""Findings of a few records, as the analysers of the product see them."""

from typing import Any

from datasets_app.domain.findings import Found
from datasets_app.domain.formats.base import Format
from datasets_app.domain.formats.convert import convert
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.facts import Facts
from datasets_app.engine.sensitive import Sensitive
from datasets_app.engine.structure import Structure

AT_ONCE = 700  # so that a set of a thousand rows has two batches


def chat(question: str, answer: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def judged(records: list[dict[str, Any]], purpose: str = "training", fmt: Format = Format.OPENAI_CHAT) -> Facts:
    rows = [(n + 1, convert(record, fmt)) for n, record in enumerate(records)]
    analysers = [Structure(purpose), Sensitive()]
    for first in range(0, len(rows), AT_ONCE):
        batch = batch_of_rows(rows[first : first + AT_ONCE], first)
        for analyser in analysers:
            analyser.take(batch)
    facts = Facts(purpose=purpose, rows=len(rows), kind=rows[0][1].kind.value)
    for analyser in analysers:
        analyser.finish(facts)
    return facts


def rows_of(facts: Facts, found: Found) -> list[int]:
    return facts.rows_of(found).tolist()
