"""The row-by-row profile as an analyser, until `structure` takes its place."""

from datasets_app.domain import hashing
from datasets_app.engine import stats
from datasets_app.engine.batch import Batch
from datasets_app.engine.facts import Facts
from datasets_app.engine.judge import Judgement
from datasets_app.engine.profile import Profile
from datasets_app.engine.table import as_row


class Legacy:
    name = "structure"

    def __init__(self, purpose: str) -> None:
        self.purpose, self.profile = purpose, Profile()

    def take(self, batch: Batch) -> None:
        for record in batch.table.to_pylist():
            row = as_row(record)
            self.profile.add(row, hashing.canonical(row))

    def finish(self, facts: Facts) -> None:
        judged = Judgement(self.profile, purpose=self.purpose)
        for found, rows in judged.rows.items():
            facts.note(found, rows, judged.details[found], count=judged.counts.get(found))
        facts.stats.update(stats.summary(self.profile))
