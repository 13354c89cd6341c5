"""Near duplicates and answers that do not agree, from what the kernels found."""

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain.findings import Found
from datasets_app.engine.batch import Bytes, Ints
from datasets_app.engine.facts import Facts
from datasets_app.engine.words_native import address, checked, kernels

if TYPE_CHECKING:
    from datasets_app.engine.words import Words

NEAR = 0.8  # Jaccard index of word 3-grams
EXAMPLES, CLUSTERS_SHOWN, MEMBERS_SHOWN = 10, 50, 20
COMMON_SHARE = 0.05  # a shingle in this share of the rows is boilerplate
TEMPLATE = 10  # so many different prompts that are near to one another are a template, not a slip
WHOLE, PROMPT = 0, 1


def note_near_duplicates(words: "Words", facts: Facts, repeats: NDArray[np.bool_]) -> Ints:
    """Notes NEAR_DUPLICATES; returns the leader of each row (its own index for leaders, -1 for rows in no cluster).

    A row is listed when an earlier row, that is not listed itself, has a Jaccard index of at least 0.8 with it over
    the word 3-grams of everything but the system turn. Exact copies are not listed: they have a finding of their own.
    """
    leader, index, capped = match(words, WHOLE, repeats, None)
    members = np.flatnonzero(leader >= 0)
    leaders, sizes = np.unique(leader[members], return_counts=True)
    if len(members):
        detail: dict[str, Any] = {
            "clusters": len(leaders),
            "largest": int(sizes.max()) + 1,
            "examples": _examples(leader, index, members, leaders, sizes),
            "jaccard": NEAR,
        }
        if capped:
            detail["capped"] = capped  # rows that looked like more others than were compared
        facts.note(Found.NEAR_DUPLICATES, members, detail)
    leader[leaders] = leaders
    return leader


def match(
    words: "Words", which: int, skip: NDArray[np.bool_], common: int | None
) -> tuple[Ints, NDArray[np.float32], int]:
    """(leader or -1, Jaccard index, rows that hit a cap); `common` is a table of shingles that prove nothing."""
    leader: Ints = np.empty(words.rows, np.int64)
    index: NDArray[np.float32] = np.empty(words.rows, np.float32)
    capped, mask = ctypes.c_int64(), skip.astype(np.uint8)
    checked(
        kernels().words_match(
            words.handle, which, address(mask), common, NEAR, address(leader), address(index), ctypes.byref(capped)
        )
    )
    return leader, index, capped.value


def _examples(leader: Ints, index: NDArray[Any], members: Ints, leaders: Ints, sizes: Ints) -> list[dict[str, Any]]:
    """The largest clusters, nearest members first."""
    order = np.argsort(leader[members], kind="stable")
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    shown = []
    for n in np.argsort(-sizes, kind="stable")[:CLUSTERS_SHOWN]:
        rows = members[order[begins[n] : begins[n + 1]]]
        best = rows[np.argsort(-index[rows], kind="stable")][:MEMBERS_SHOWN]
        listed = [{"row": int(row), "jaccard": round(float(index[row]), 4)} for row in best]
        shown.append({"leader": int(leaders[n]), "members": listed})
    return shown


def note_conflicts(words: "Words", facts: Facts, info: NDArray[Any]) -> NDArray[np.bool_]:
    """Notes CONFLICTING_ANSWERS (one context, several answers) and NEAR_CONFLICTS (prompts that differ in form).

    Returns which rows ask what an earlier row asked, or nearly.

    Answers conflict when short ones differ in a word, or longer ones share less than half of their words; two tellings
    of the same in nearly the same words are no conflict.
    """
    answered = (info["answer"] != 0) & (info["context"] != 0)
    conflicting, contexts = _conflicting(words, info, answered)
    facts.note(Found.CONFLICTING_ANSWERS, conflicting, {"prompts": contexts})
    one, other, index, templates, repeated = _nearly_asked_alike(words, info, answered)
    hit = np.flatnonzero(_verdict(words, one, other))
    order = hit[np.argsort(-index[hit], kind="stable")][:CLUSTERS_SHOWN]
    pairs = [{"rows": [int(one[k]), int(other[k])], "jaccard": round(float(index[k]), 4)} for k in order]
    facts.note(
        Found.NEAR_CONFLICTS,
        np.concatenate([one[hit], other[hit]]),
        {"prompts": len(np.unique(one[hit])), "pairs": pairs, "templates": templates},
    )
    return repeated


def _verdict(words: "Words", one: Ints, other: Ints) -> Bytes:
    """1 for each pair of rows whose answers do not agree."""
    verdict: Bytes = np.zeros(len(one), np.uint8)
    if len(one):
        checked(kernels().words_conflicts(words.handle, address(one), address(other), len(one), address(verdict)))
    return verdict


def _conflicting(words: "Words", info: NDArray[Any], answered: NDArray[np.bool_]) -> tuple[Ints, int]:
    """Rows whose whole context is shared by a row with another answer; number of such contexts."""
    context, answer = info["context"], info["answer"]
    rows = np.flatnonzero(answered)
    order = rows[np.lexsort((rows, context[rows]))]
    first, _ = first_of_each(context)
    other = order[answer[order] != answer[first[order]]]
    one = first[other]
    known = answered[one]
    one, other = np.ascontiguousarray(one[known]), np.ascontiguousarray(other[known])
    bad = np.unique(context[one[_verdict(words, one, other) > 0]])
    return np.flatnonzero(answered & np.isin(context, bad)), len(bad)


def _nearly_asked_alike(
    words: "Words", info: NDArray[Any], answered: NDArray[np.bool_]
) -> tuple[Ints, Ints, NDArray[np.float64], int, NDArray[np.bool_]]:
    """Pairs of rows whose prompts are nearly the same but not their contexts; number of templates left out; all rows
    whose prompt came before."""
    key = info["norm"] ^ (info["system"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    first, _ = first_of_each(key)
    rows = np.arange(len(key))
    again = np.flatnonzero((first != rows) & answered & answered[first])
    again = again[info["context"][again] != info["context"][first[again]]]
    common = kernels().words_common(words.handle, PROMPT, 3, COMMON_SHARE)
    if not common:
        raise MemoryError
    try:
        leader, index, _ = match(words, PROMPT, (first != rows) | ~answered, common)
    finally:
        kernels().words_common_free(common)
    repeated = (first != rows) | (leader >= 0)
    near = np.flatnonzero(leader >= 0)
    leaders, sizes = np.unique(leader[near], return_counts=True)
    large = leaders[sizes > TEMPLATE]
    near = near[~np.isin(leader[near], large)]
    one, other = np.concatenate([first[again], leader[near]]), np.concatenate([again, near])
    return one, other, np.concatenate([np.ones(len(again)), index[near]]), len(large), repeated


def first_of_each(values: NDArray[Any]) -> tuple[Ints, Ints]:
    """Index of the first equal value for each, and how often each different value occurs."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(values) else order
    sizes: Ints = np.diff(np.append(starts, len(values)))
    first: Ints = np.empty(len(values), dtype=np.int64)
    first[order] = np.repeat(order[starts], sizes)
    return first, sizes
