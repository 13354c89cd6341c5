"""python -m training.engine.seen SPEC: rows as the model will see them, token by token."""

import json
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from datasets_app.engine import lean
from datasets_app.engine.chat_template import Unshowable
from datasets_app.engine.fast_chat import FastChat
from datasets_app.engine.rendering import Pair, Tokens
from datasets_app.engine.token_rows import RowCounter, read_row
from training.engine import data
from training.engine.events import EngineError, emit, run_child
from training.engine.watch import die_with_parent

MOST_TOKENS = 20_000  # of one sequence; what is beyond is counted, not shown


def main(spec_path: str) -> None:
    spec = json.loads(Path(spec_path).read_text())
    die_with_parent()
    emit("started", device="cpu", device_name="", total=1)
    counter = RowCounter(Path(spec["base_path"]))
    views = looks(counter.chat, Path(spec["data_path"]), [spec["index"]])
    if not views:
        raise EngineError(f"There is no row {spec['index']}.", code="no_such_row")
    emit("result", seen=views[0])


def looks(chat: FastChat, path: Path, indices: Iterable[int]) -> list[dict[str, Any]]:
    """The views of these rows, in order."""
    return [view(chat, row) for row in data.read_rows_at(path, indices)]


def view(chat: FastChat, row: Mapping[str, Any]) -> dict[str, Any]:
    """One row: for each of its sequences the tokens' ids and texts, which are trained, which are special."""
    about = {"index": row["index"], "kind": row["kind"], "sequences": [], "refused": None}
    about |= {"turns": [turn["role"] for turn in row["messages"]], "tools": len(row["tools"] or [])}
    try:
        found = read_row(chat, dict(row))
        about["sequences"] = _sequences(chat, row, found)
        about["last_turn_only"] = isinstance(found, Tokens) and found.last_turn_only
    except Unshowable as refusal:
        about["refused"] = {"code": refusal.code, "message": str(refusal)[:1000]}
    return about


def _sequences(chat: FastChat, row: Mapping[str, Any], found: Tokens | Pair) -> list[dict[str, Any]]:
    if isinstance(found, Pair):
        return [
            _sequence(chat, name, _render(chat, row, row[name]), [False] * len(found.prompt) + [True] * len(answer))
            for name, answer in (("chosen", found.chosen), ("rejected", found.rejected))
        ]
    text = row["text"] or "" if row["kind"] == "text" else _render(chat, row, [])
    return [_sequence(chat, "", text, found.trained)]


def _render(chat: FastChat, row: Mapping[str, Any], answer: list[dict[str, Any]]) -> str:
    return chat.render([*row["messages"], *answer], row["tools"], options=row["options"])


def _sequence(chat: FastChat, name: str, text: str, trained: list[bool]) -> dict[str, Any]:
    ids, texts = chat.pieces(text)
    if len(ids) < len(trained) and chat.eos_id is not None:  # plain text is given its end
        ids, texts = [*ids, chat.eos_id], [*texts, chat.specials["eos_token"]]
    shown = ids[:MOST_TOKENS]
    return {
        "name": name,
        "tokens": len(ids),
        "ids": shown,
        "texts": texts[:MOST_TOKENS],
        "trained": runs(trained),
        "special": [place for place, number in enumerate(shown) if number in chat.special],
    }


def runs(flags: list[bool]) -> list[list[int]]:
    """Stretches of True as [first, one past the last]."""
    found, at = [], 0
    for flag, group in groupby(flags):
        length = sum(1 for _ in group)
        if flag:
            found.append([at, at + length])
        at += length
    return found


if __name__ == "__main__":
    lean.without_pandas()
    sys.exit(run_child(main, sys.argv, "training.engine.seen SPEC.json"))
