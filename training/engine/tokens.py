"""python -m training.engine.tokens SPEC: a dataset version in tokens of one base model, without torch."""

import json
import sys
from pathlib import Path
from typing import Any

from datasets_app.engine.chat_template import Unshowable
from datasets_app.engine.rendering import ChatTokenizer
from training.domain.tokens import Profile, RowTokens, count_row
from training.engine import data
from training.engine.events import Stopped, emit, run_child
from training.engine.watch import StopFlag, die_with_parent

TELL_EVERY = 500


def main(spec_path: str) -> None:
    spec = json.loads(Path(spec_path).read_text())
    stop = StopFlag().install()
    die_with_parent()
    path = Path(spec["data_path"])
    total = data.count_rows(path)
    emit("started", device="cpu", device_name="", total=total)
    profile = measure(ChatTokenizer(Path(spec["base_path"])), path, spec["max_length"], total, stop)
    emit("result", stats=profile.as_dict())


def measure(chat: ChatTokenizer, path: Path, limit: int, total: int, stop: StopFlag) -> Profile:
    profile = Profile(limit)
    for done, row in enumerate(data.read_rows(path), start=1):
        try:
            _count(profile, chat, row, limit)
        except Unshowable as problem:
            profile.refuse(row["index"], problem.code, str(problem))
        if done % TELL_EVERY == 0 or done == total:
            emit("progress", phase="counting", done=done, total=total)
        if stop.asked:
            raise Stopped
    return profile


def _count(profile: Profile, chat: ChatTokenizer, row: dict[str, Any], limit: int) -> None:
    if row["kind"] != "preference":
        found = data.sequence(chat, row)
        profile.add(count_row(row["index"], found.trained, limit))
        profile.last_turn_only += found.last_turn_only
        return
    pair = data.pair(chat, row)
    asked, chosen, rejected = len(pair.prompt), len(pair.chosen), len(pair.rejected)
    longest = asked + max(chosen, rejected)
    within = max(0, min(chosen, rejected, limit - asked))
    both = chosen + rejected if within else 0
    profile.add(
        RowTokens(row["index"], longest, chosen + rejected, longest - 1, both),
        beside=asked + min(chosen, rejected),
    )


if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine.tokens SPEC.json"))
