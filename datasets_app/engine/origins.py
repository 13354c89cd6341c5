"""Where the rows come from: shares by origin, depth, teacher, licence and contributor, held against the policy."""

from collections import Counter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from datasets_app.domain import provenance
from datasets_app.domain.findings import Found, Severity
from datasets_app.domain.provenance import Provenance
from datasets_app.engine.batch import Batch
from datasets_app.engine.facts import Facts

SHOWN = 20
# One person's slips and habits become the model's when half of the rows are theirs; few rows prove nothing.
CONCENTRATED, ENOUGH_ROWS = 0.5, 50
MOST_KINDS = 100_000  # different provenances that are remembered; beyond it rows are told apart less finely


class Origins:
    """`default` is what was said once for the whole file; what a row says itself goes before it."""

    name = "origins"

    def __init__(self, default: Provenance | None = None, policy: dict[str, Any] | None = None) -> None:
        self.default = provenance.cleaned(default or {}) or {}
        self.policy = policy or {}
        self._kinds: dict[str | None, int] = {}
        self._read: list[Provenance] = []
        self._codes: list[NDArray[np.int32]] = []

    def take(self, batch: Batch) -> None:
        """Each different provenance is read once; a row keeps its number."""
        column = batch.table.column("provenance").combine_chunks().dictionary_encode()
        column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        numbers = [self._number(text) for text in column.dictionary.to_pylist()]
        table = np.array([*numbers, self._number(None)], dtype=np.int32)
        codes = column.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
        self._codes.append(table[codes])

    def finish(self, facts: Facts) -> None:
        codes = np.concatenate(self._codes) if self._codes else np.zeros(0, np.int32)
        counts = np.bincount(codes, minlength=len(self._read))
        stats = self._stats(counts, len(codes))
        facts.stats["origins"] = stats
        self._note_unknown(facts, codes, stats)
        self._note_synthetic(facts, codes, stats)
        self._note_concentration(facts, codes, stats)

    def _number(self, text: str | None) -> int:
        found = self._kinds.get(text)
        if found is None:
            own = provenance.cleaned(orjson.loads(text)) if text else None
            read = provenance.merged(self.default, own) or {}
            if len(self._kinds) >= MOST_KINDS:
                read = {name: value for name, value in read.items() if name in ("origin", "depth")}
                text = orjson.dumps(read, option=orjson.OPT_SORT_KEYS).decode() + " and more"
                if text in self._kinds:
                    return self._kinds[text]
            found = self._kinds[text] = len(self._read)
            self._read.append(read)
        return found

    def _stats(self, counts: NDArray[np.int64], total: int) -> dict[str, Any]:
        tallies: dict[str, Counter[Any]] = {
            name: Counter() for name in ("origin", "depth", "teacher", "licence", "contributor", "edited_by")
        }
        edited = 0
        for read, n in zip(self._read, counts.tolist(), strict=False):
            tallies["origin"][read.get("origin", provenance.UNKNOWN)] += n
            tallies["depth"][provenance.depth(read)] += n
            for name in ("teacher", "licence", "contributor"):
                tallies[name][read.get(name)] += n
            people = {edit["by"] for edit in read.get("edits", [])}
            edited += n if people else 0
            for person in people:
                tallies["edited_by"][person] += n
        known = {name: _ranked(tally) for name, tally in tallies.items()}
        depths = [depth for depth, n in tallies["depth"].items() if depth is not None and n]
        return {
            **{name: ranked[:SHOWN] for name, ranked in known.items()},
            "contributors": sum(1 for name, _ in known["contributor"] if name is not None),
            "edited": edited,
            "synthetic_share": tallies["origin"][provenance.SYNTHETIC] / total if total else 0.0,
            "deepest": max(depths, default=0),
            "said": total - tallies["origin"][provenance.UNKNOWN],
        }

    def _rows(self, codes: NDArray[np.int32], wanted: Any) -> NDArray[np.int64]:
        chosen = np.array([wanted(read) for read in self._read], dtype=np.bool_)
        return np.flatnonzero(chosen[codes]) if len(codes) else np.zeros(0, np.int64)

    def _note_unknown(self, facts: Facts, codes: NDArray[np.int32], stats: dict[str, Any]) -> None:
        """Some rows say where they come from and others do not. Where none does, the statistics say so."""
        if 0 < stats["said"] < len(codes):
            facts.note(Found.UNKNOWN_ORIGIN, self._rows(codes, lambda read: "origin" not in read), {})

    def _note_synthetic(self, facts: Facts, codes: NDArray[np.int32], stats: dict[str, Any]) -> None:
        share, deepest = stats["synthetic_share"], stats["deepest"]
        most, allowed = self.policy.get("max_synthetic_share"), self.policy.get("max_synthetic_depth")
        too_many = most is not None and share > most + 1e-9
        too_deep = allowed is not None and deepest > allowed
        if not too_many and not too_deep:
            return
        rows = self._rows(codes, lambda read: read.get("origin") == provenance.SYNTHETIC)
        if allowed is not None and too_deep and not too_many:
            rows = self._rows(codes, lambda read: (provenance.depth(read) or 0) > allowed)
        detail = {
            "share": share,
            "deepest": deepest,
            "allowed_share": most,
            "allowed_depth": allowed,
            "teachers": stats["teacher"][:5],
        }
        facts.note(Found.SYNTHETIC_SHARE, rows, detail, severity=Severity.ERROR)

    def _note_concentration(self, facts: Facts, codes: NDArray[np.int32], stats: dict[str, Any]) -> None:
        named = [(name, n) for name, n in stats["contributor"] if name is not None]
        rows = sum(n for _, n in named)
        if rows < ENOUGH_ROWS or named[0][1] < CONCENTRATED * len(codes):
            return
        top = named[0][0]
        detail = {"contributor": top, "share": named[0][1] / len(codes), "contributors": stats["contributors"]}
        facts.note(
            Found.CONTRIBUTOR_CONCENTRATION, self._rows(codes, lambda read: read.get("contributor") == top), detail
        )


def _ranked(tally: Counter[Any]) -> list[list[Any]]:
    return [[name, n] for name, n in sorted(tally.items(), key=lambda pair: (-pair[1], str(pair[0]))) if n]
