"""Rows to tokens, without torch: the same code counts what a run will see and prepares what it trains on."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, processors

from datasets_app.engine.chat_template import CLOSE, OPEN, ChatTemplate, Message, Unshowable, split_marks, unmarked
from projects.domain.errors import Refused

Render = Callable[..., str]  # the signature of ChatTemplate.render


@dataclass(frozen=True)
class Tokens:
    """One sequence: token ids, and for each whether it is trained."""

    ids: list[int]
    trained: list[bool]
    last_turn_only: bool = False


@dataclass(frozen=True)
class Pair:
    """One preference row: the prompt and the two ways to go on."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


class ChatTokenizer:
    """A base model's tokenizer and chat template.

    `render` has rows rendered in a limited child, as everything does that reads other people's models. Without it the
    template runs in this very process.
    """

    def __init__(self, folder: Path, render: Render | None = None) -> None:
        self.tokenizer = read_tokenizer(folder)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        # Nothing is added to what a template writes, and offsets are to cover the spaces of a token too.
        self.tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        if render is None:
            template = ChatTemplate(folder)
            self.specials, self.template_text, self.template = template.specials, template.text, template.compiled
            self._render: Render = template.render
        else:
            self.specials, self.template_text, self.template = render.specials, render.text, None  # type: ignore[attr-defined]
            self._render = render

    @property
    def marks_answers(self) -> bool:
        return "endgeneration" in self.template_text

    @property
    def eos_id(self) -> int | None:
        return self.tokenizer.token_to_id(self.specials["eos_token"]) if "eos_token" in self.specials else None

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def render(
        self, messages: Sequence[Message], tools: Any = None, *, ask: bool = False, options: Mapping[str, Any] = {}
    ) -> str:
        """The text the model sees; with `ask` it ends where the assistant is to begin."""
        return unmarked(self._render(messages, tools, ask=ask, options=options))

    def prompt_ids(self, messages: Sequence[Message], tools: Any = None, options: Mapping[str, Any] = {}) -> list[int]:
        return self.encode(self.render(messages, tools, ask=True, options=options))

    def chat(self, messages: Sequence[Message], tools: Any = None, options: Mapping[str, Any] = {}) -> Tokens:
        """A conversation: all the assistant's turns are trained where the template marks them, else the last one."""
        turns = assistant_turns(messages)
        if wants_marks(messages, turns) and self.marks_answers:
            marked = self._marked(messages, tools, turns, options)
            if marked is not None:
                return marked
        split = self.completion(messages[:-1], [messages[-1]], tools, options)
        trains = messages[-1].get("weight", 1) != 0
        return Tokens(split.ids, [flag and trains for flag in split.trained], last_turn_only=len(turns) > 1)

    def completion(
        self,
        prompt: Sequence[Message],
        answer: Sequence[Message],
        tools: Any = None,
        options: Mapping[str, Any] = {},
    ) -> Tokens:
        """Prompt and answer; the answer starts where the tokens stop being those of the bare prompt."""
        ids = self.encode(self.render([*prompt, *answer], tools, options=options))
        asked = self.prompt_ids(prompt, tools, options) if prompt else []
        start = common_prefix(asked, ids)
        return Tokens(ids, [place >= start for place in range(len(ids))])

    def pair(
        self,
        prompt: Sequence[Message],
        chosen: Sequence[Message],
        rejected: Sequence[Message],
        tools: Any = None,
        options: Mapping[str, Any] = {},
    ) -> Pair:
        asked = self.prompt_ids(prompt, tools, options)
        good = self.encode(self.render([*prompt, *chosen], tools, options=options))
        bad = self.encode(self.render([*prompt, *rejected], tools, options=options))
        start = min(common_prefix(asked, good), common_prefix(asked, bad))
        return Pair(asked[:start], good[start:], bad[start:])

    def text(self, text: str) -> Tokens:
        """Plain text with its end: every token is trained."""
        ids = self.encode(text)
        if self.eos_id is not None and (not ids or ids[-1] != self.eos_id):
            ids.append(self.eos_id)
        return Tokens(ids, [True] * len(ids))

    def _marked(
        self, messages: Sequence[Message], tools: Any, turns: list[int], options: Mapping[str, Any]
    ) -> Tokens | None:
        """Ids and mask from the template's own marks; None when the marks do not fit the turns."""
        if any(mark in json.dumps(list(messages), ensure_ascii=False) for mark in (OPEN, CLOSE)):
            return None
        text, spans = split_marks(self._render(messages, tools, options=options))
        if len(spans) != len(turns):
            return None
        wanted = [span for span, place in zip(spans, turns, strict=True) if messages[place].get("weight", 1) != 0]
        return self.spread(text, wanted)

    def spread(self, text: str, spans: Sequence[tuple[int, int]]) -> Tokens:
        """Tokens of a text, trained where they hold characters of one of the spans."""
        encoded = self.tokenizer.encode(text, add_special_tokens=False)
        return Tokens(encoded.ids, touched(encoded.offsets, spans))


def read_tokenizer(folder: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as problem:  # the tokenizers library raises bare Exception
        raise Refused(f"The tokenizer cannot be read: {problem}", code="incomplete_model") from problem


def touched(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """For each token whether it holds a character of one of the spans, as TRL's own collation has it."""
    found, at = [], 0
    for start, end in offsets:
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        found.append(any(low < end and start < high for low, high in spans[at : at + 2]))
    return found


def assistant_turns(messages: Sequence[Message]) -> list[int]:
    """Places of the assistant's turns. Raises Unshowable when the last turn is somebody else's."""
    turns = [place for place, message in enumerate(messages) if message.get("role") == "assistant"]
    if not turns or turns[-1] != len(messages) - 1:
        raise Unshowable("The last turn is not the assistant's, so there is no answer to learn.", code="no_answer")
    return turns


def wants_marks(messages: Sequence[Message], turns: Sequence[int]) -> bool:
    """With one turn that counts, prompt and answer say enough."""
    return len(turns) > 1 or any(messages[place].get("weight", 1) == 0 for place in turns)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for place, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return place
    return min(len(left), len(right))
