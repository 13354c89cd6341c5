"""Following a cleaning recipe: the rows of one version, less or changed, become the next."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets_app.domain import hashing, sensitive
from datasets_app.domain.codes import Code
from datasets_app.domain.findings import Found
from datasets_app.domain.formats.base import Message, Row
from datasets_app.domain.recipes import Op, Step, read_steps
from datasets_app.engine import events
from datasets_app.engine.judge import Judgement
from datasets_app.engine.pipeline import Outcome, Pipeline, Plan
from datasets_app.engine.profile import Profile
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.scan import batched
from datasets_app.engine.table import read_column, read_rows

EVERY = 500


class Build:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.source = Path(spec["source"])
        self.out = Path(spec["out_dir"])
        self.purpose = spec.get("purpose", "training")
        self.steps = read_steps(spec["steps"])
        self.plan = Plan.of(spec)
        self.golden = {int(g["id"]): Path(g["path"]) for g in spec.get("golden", [])}

    def run(self) -> dict[str, Any]:
        judgement = Judgement(self._profiled(), purpose=self.purpose)
        total = judgement.profile.rows
        dropped, applied = set[int](), []
        for step in self.steps:
            rows = self._rows_of(step, judgement) - dropped
            dropped |= rows
            applied.append({**step.as_dict(), "rows": len(rows)})
        if len(dropped) == total:
            raise FileRefused(Code.NO_ROWS_LEFT, f"all {total} rows are dropped")
        outcome, masked = self._write(dropped, total)
        for entry in applied:
            if entry["op"] == Op.MASK_SECRETS:
                entry["rows"] = masked
        return {
            **outcome.as_result(),
            "rows_dropped": len(dropped),
            "rows_masked": masked,
            "steps": applied,
        }

    def _profiled(self) -> Profile:
        profile = Profile()
        for _, row in read_rows(self.source):
            profile.add(row, hashing.canonical(row))
            if profile.rows % EVERY == 0:
                events.emit("progress", phase="judging", done=profile.rows, total=0)
        return profile

    def _rows_of(self, step: Step, judgement: Judgement) -> set[int]:
        if step.op == Op.DEDUPE:
            return set(judgement.rows.get(Found.EXACT_DUPLICATES, ()))
        if step.op == Op.DROP_FINDING:
            return set(judgement.rows.get(Found(step.code), ()))
        if step.op == Op.DROP_OVERLAP:
            return self._leaked(step)
        return set()

    def _leaked(self, step: Step) -> set[int]:
        """Rows whose prompt, as it stands or in its normal form, is a prompt of one of the golden sets."""
        rows: set[int] = set()
        for name in ("prompt_hash", "prompt_norm_hash"):
            golden = {h for pk in step.golden for h in read_column(self.golden[pk], name)} - {hashing.NO_PROMPT}
            rows |= {n for n, h in enumerate(read_column(self.source, name)) if h in golden}
        return rows

    def _write(self, dropped: set[int], total: int) -> tuple[Outcome, int]:
        masked = 0
        mask = any(step.op == Op.MASK_SECRETS for step in self.steps)

        def kept() -> Iterator[tuple[int, Row]]:
            nonlocal masked
            for n, (line, row) in enumerate(read_rows(self.source)):
                if n not in dropped:
                    left = without_secrets(row) if mask else row
                    masked += left != row
                    yield line, left

        with Pipeline(self.out, self.plan) as pipeline:
            for batch in batched(kept()):
                pipeline.feed(batch)
                events.emit("progress", phase="writing", done=pipeline.rows, total=total)
            return pipeline.finish(), masked


def without_secrets(row: Row) -> Row:
    def clean(turns: list[Message] | None) -> list[Message] | None:
        return None if turns is None else [{**turn, "content": sensitive.mask(turn["content"])} for turn in turns]

    text = None if row.text is None else sensitive.mask(row.text)
    return replace(
        row, messages=clean(row.messages) or [], chosen=clean(row.chosen), rejected=clean(row.rejected), text=text
    )
