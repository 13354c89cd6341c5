"""Everything that comes from the words of the rows, in one pass: identities, near duplicates, languages and more.

The work is done by the kernels `native/words*.c` and `native/near.c`; this module hands batches to them and asks
`near`, `leakage`, `diversity`, `triggers` and `index` what follows once all rows are in.
"""

import ctypes
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain import injection
from datasets_app.domain.findings import Found
from datasets_app.domain.languages import COMMON_WORDS, NAMES, Language
from datasets_app.engine import index, near, triggers
from datasets_app.engine.batch import Batch, Bytes, Ints
from datasets_app.engine.diversity import Diversity
from datasets_app.engine.facts import Facts
from datasets_app.engine.leakage import golden_of
from datasets_app.engine.words_native import Handle, Tokens, View, address, checked, kernels, words_of

LANGUAGE_FILE, CLUSTERS_FILE = "words.language.npy", "words.clusters.npy"
KEPT_TOKENS = 6  # batches whose words wait for the other of `identities` and `take`
THIN_SHARE, THIN_ROWS, MAIN_SHARE = 0.01, 10, 0.5
PHRASE_EXAMPLES = 20


@dataclass(slots=True)
class _Shared:
    """The words of one batch, for two threads that only look at them."""

    tokens: Tokens
    text: Bytes  # of the batch they are of
    ready: threading.Event = field(default_factory=threading.Event)
    whole: bool = False
    users: int = 2


class Words:
    """`take` every batch in order, then `finish` and `save`; `identities` may be called from another thread."""

    name = "near"

    def __init__(
        self,
        purpose: str = "training",
        golden: Sequence[tuple[int, Path]] = (),
        workdir: Path | None = None,
        parents: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.purpose, self.rows = purpose, 0
        self.cpu = {"near": 0.0, "diversity": 0.0}
        self.clusters: Ints = np.zeros(0, np.int64)
        self._parents = parents
        self.kept = Handle(workdir)
        self._lib, self.handle = kernels(), self.kept.pointer
        self._golden = golden_of(self.kept, golden, workdir)
        self._tell_languages()
        self._phrases = injection.listed()
        self._tell_phrases()
        self._diversity = Diversity()
        self._hashes: list[Ints] = []
        self._lock = threading.Lock()
        self._shared: dict[int, _Shared] = {}
        self._spare: list[Tokens] = []

    def identities(self, batch: Batch) -> tuple[Ints, Ints, Ints]:
        """(row_hash, prompt_hash, prompt_norm_hash) of each row; NO_PROMPT where nothing is asked."""
        view = View(batch)
        tokens = self._tokens(batch, view)
        prompt: Ints = np.zeros(batch.rows, np.int64)
        norm: Ints = np.zeros(batch.rows, np.int64)
        self._lib.words_identities(tokens.handle, view.pointer, address(prompt), address(norm))
        self._put_aside(batch, tokens)
        return row_hashes(batch), prompt, norm

    def take(self, batch: Batch) -> None:
        began = time.thread_time()
        view = View(batch)
        tokens = self._tokens(batch, view)
        _, distinct = self.kept.take(tokens, view)
        self._put_aside(batch, tokens)
        self._hashes.append(row_hashes(batch))
        self.rows += batch.rows
        middle = time.thread_time()
        self._diversity.take(view)
        self.cpu["diversity"] += distinct + time.thread_time() - middle
        self.cpu["near"] += middle - began - distinct

    def finish(self, facts: Facts) -> None:
        began = time.thread_time()
        self.kept.end()
        info = self.kept.info()
        first, repeats = self._repeats(facts)
        self.clusters = near.note_near_duplicates(self, facts, repeats)
        followers = repeats & (self.clusters[first] >= 0) & (self.clusters[first] != first)
        self.clusters[followers] = self.clusters[first[followers]]  # copies of a near duplicate go where it goes
        repeated = near.note_conflicts(self, facts, info)
        self._lib.words_drop_keys(self.handle)
        self._note_languages(facts, info)
        self._note_phrases(facts)
        triggers.note_triggers(self, facts, repeated)
        for part in self._golden:
            facts.stats.setdefault("overlaps", {}).update(part.overlaps())
        middle = time.thread_time()
        self._diversity.finish(self, facts, self._parents)
        self.cpu["diversity"] += time.thread_time() - middle
        self.cpu["near"] += middle - began

    def save(self, folder: Path) -> None:
        """Clusters, languages and the search index, beside the rows of the version."""
        began = time.thread_time()
        info = self.kept.info()
        np.save(folder / CLUSTERS_FILE, self.clusters, allow_pickle=False)
        np.save(folder / LANGUAGE_FILE, languages(info), allow_pickle=False)
        index.write(self, folder)
        for part in self._golden:
            part.save(folder)
        self.cpu["near"] += time.thread_time() - began

    def _tokens(self, batch: Batch, view: View) -> Tokens:
        """The words of a batch, read once for the two that ask for them; the second waits for the first."""
        with self._lock:
            shared = self._shared.get(batch.first)
            mine = shared is None or shared.text is not batch.text
            if shared is None or mine:
                spare = self._spare.pop() if self._spare else Tokens()
                shared = self._shared[batch.first] = _Shared(spare, batch.text)
                if len(self._shared) > KEPT_TOKENS:  # nobody asks for the oldest a second time
                    del self._shared[next(iter(self._shared))]
        if not mine:
            shared.ready.wait()
            return shared.tokens if shared.whole else Tokens().read(view)
        try:
            shared.tokens.read(view)
            shared.whole = True
        finally:
            shared.ready.set()
        return shared.tokens

    def _put_aside(self, batch: Batch, tokens: Tokens) -> None:
        with self._lock:
            shared = self._shared.get(batch.first)
            if shared is None or shared.tokens is not tokens:
                return
            shared.users -= 1
            if not shared.users:
                del self._shared[batch.first]
                self._spare.append(tokens)

    def _tell_languages(self) -> None:
        masks: dict[int, int] = {}
        for language, words in zip(COMMON_WORDS, words_of(list(COMMON_WORDS.values())), strict=True):
            for word in words.tolist():
                masks[word] = masks.get(word, 0) | 1 << language
        keys = np.array(list(masks), dtype=np.uint32)
        values = np.array(list(masks.values()), dtype=np.uint32)
        checked(self._lib.words_set_stops(self.handle, address(keys), address(values), len(keys)))

    def _tell_phrases(self) -> None:
        phrases = words_of([phrase for _, phrase in self._phrases])
        at = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(p) for p in phrases], dtype=np.int64)])
        flat = np.concatenate(phrases)
        checked(self._lib.words_set_phrases(self.handle, address(flat), address(at), len(phrases)))

    def _repeats(self, facts: Facts) -> tuple[Ints, NDArray[np.bool_]]:
        """The first equal row of each row, and which rows are exact copies; noted here unless that has been done."""
        hashes = np.concatenate(self._hashes) if self._hashes else np.zeros(0, np.int64)
        first, sizes = near.first_of_each(hashes)
        repeats = first != np.arange(len(first))
        if "distinct_rows" not in facts.stats:
            surplus = np.flatnonzero(repeats)
            pairs = [[int(first[n]), int(n)] for n in surplus[: near.EXAMPLES]]
            detail = {"sets": int((sizes > 1).sum()), "largest": int(sizes.max(initial=0)), "pairs": pairs}
            facts.note(Found.EXACT_DUPLICATES, surplus, detail)
            facts.stats["distinct_rows"] = len(sizes)
        return first, repeats

    def _note_phrases(self, facts: Facts) -> None:
        n = ctypes.c_int64()
        pointer = self._lib.words_hits(self.handle, ctypes.byref(n))
        if not n.value:
            return
        hits = np.frombuffer((ctypes.c_char * (16 * n.value)).from_address(pointer), dtype=np.int64).reshape(-1, 2)
        kinds, counts = np.unique(hits[:, 1], return_counts=True)
        phrases = [
            {"phrase": self._phrases[k][1], "language": self._phrases[k][0], "rows": int(c)}
            for k, c in sorted(zip(kinds.tolist(), counts.tolist(), strict=True), key=lambda kc: -kc[1])
        ]
        facts.note(Found.PROMPT_INJECTION, hits[:, 0], {"phrases": phrases[:PHRASE_EXAMPLES]})

    def _note_languages(self, facts: Facts, info: NDArray[Any]) -> None:
        asked, answered, whole = info["asked"], info["answered"], languages(info)
        told = {Language.UNKNOWN, Language.CODE}
        counts = np.bincount(whole, minlength=len(Language))
        spoken = {n: int(c) for n, c in enumerate(counts) if c and n not in told}
        both = ~np.isin(asked, list(told)) & ~np.isin(answered, list(told)) & (info["answer_words"] >= 4)
        mismatched = np.flatnonzero(both & (asked != answered))
        facts.stats["languages"] = {
            "rows": _named(counts),
            "questions": _named(np.bincount(asked, minlength=len(Language))),
            "answers": _named(np.bincount(answered, minlength=len(Language))),
            "mismatched": len(mismatched),
        }
        total = sum(spoken.values())
        main = max(spoken, key=lambda n: spoken[n], default=0)
        thin: list[int] = []
        if total and spoken[main] >= MAIN_SHARE * total:
            most = max(THIN_ROWS, THIN_SHARE * total)
            thin = [n for n, count in spoken.items() if n != main and count < most]
        rows = np.union1d(np.flatnonzero(np.isin(whole, thin)), mismatched)
        detail = {
            "main": NAMES[Language(main)],
            "thin": [[NAMES[Language(n)], spoken[n]] for n in thin],
            "mismatched": len(mismatched),
            "pairs": _pairs(asked[mismatched], answered[mismatched]),
        }
        facts.note(Found.LANGUAGE_MIX, rows, detail)


def languages(info: NDArray[Any]) -> Bytes:
    """The language of each row: the answer's where it can be told, else the question's."""
    return np.where(info["answered"] > Language.CODE, info["answered"], np.maximum(info["asked"], info["answered"]))


def row_hashes(batch: Batch) -> Ints:
    """The first eight bytes of each digest as the signed number that is stored."""
    return np.ascontiguousarray(batch.digest[:, :8]).view(">i8").ravel().astype(np.int64)


def _named(counts: NDArray[Any]) -> list[list[Any]]:
    order = np.argsort(-counts, kind="stable")
    return [[Language(int(n)).name.lower(), NAMES[Language(int(n))], int(counts[n])] for n in order if counts[n]]


def _pairs(asked: Bytes, answered: Bytes) -> list[list[Any]]:
    """Question language, answer language, rows: the commonest ten."""
    both, counts = np.unique(asked.astype(np.int64) * 256 + answered, return_counts=True)
    ranked = sorted(zip(both.tolist(), counts.tolist(), strict=True), key=lambda bc: -bc[1])[:10]
    return [[NAMES[Language(b // 256)], NAMES[Language(b % 256)], int(c)] for b, c in ranked]
