"""Rows to tokens, without torch: the same code counts what a run will see and prepares what it trains on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from projects.domain.errors import Refused
from training.domain import fingerprint
from training.engine import limits
from training.engine.events import EngineError

Message = dict[str, Any]
# Two private-use characters around what the assistant says; a row that holds them is rendered without marks.
OPEN, CLOSE = "\U000f1e55", "\U000f1e56"
RENDERED_LIMIT, RENDER_SECONDS = 20_000_000, 2


class Unshowable(Refused):
    """The chat template refuses this row or cannot show it."""

    code = "template"


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


class _Generation(Extension):
    """{% generation %} … {% endgeneration %}: the mark by which a chat template says what the assistant wrote."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{OPEN}{caller()}{CLOSE}"


def _environment() -> ImmutableSandboxedEnvironment:
    """The dialect chat templates are written in: trimmed blocks, loop controls, tojson without HTML escapes."""
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
    return env


class ChatTokenizer:
    """A base model's tokenizer and chat template."""

    def __init__(self, folder: Path) -> None:
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as problem:  # the tokenizers library raises bare Exception
            raise EngineError(f"The tokenizer cannot be read: {problem}", code="incomplete_model") from problem
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.config = _json(folder / "tokenizer_config.json")
        self.specials = _specials(self.config, _json(folder / "special_tokens_map.json"))
        self.template_text = template_text(folder, self.config)
        self.template = self._compile() if self.template_text else None

    @property
    def marks_answers(self) -> bool:
        return "endgeneration" in self.template_text

    @property
    def eos_id(self) -> int | None:
        return self.tokenizer.token_to_id(self.specials["eos_token"]) if "eos_token" in self.specials else None

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def render(self, messages: Sequence[Message], tools: Any = None, *, ask: bool = False) -> str:
        """The text the model sees; with `ask` it ends where the assistant is to begin."""
        return self._render(messages, tools, ask).replace(OPEN, "").replace(CLOSE, "")

    def prompt_ids(self, messages: Sequence[Message], tools: Any = None) -> list[int]:
        return self.encode(self.render(messages, tools, ask=True))

    def chat(self, messages: Sequence[Message], tools: Any = None) -> Tokens:
        """A conversation: all the assistant's turns are trained where the template marks them, else the last one."""
        turns = [place for place, message in enumerate(messages) if message.get("role") == "assistant"]
        if not turns or turns[-1] != len(messages) - 1:
            raise Unshowable("The last turn is not the assistant's, so there is no answer to learn.", code="no_answer")
        weighted = any(messages[place].get("weight", 1) == 0 for place in turns)
        if (len(turns) > 1 or weighted) and self.marks_answers:
            marked = self._marked(messages, tools, turns)
            if marked is not None:
                return marked
        split = self.completion(messages[:-1], [messages[-1]], tools)
        trains = messages[-1].get("weight", 1) != 0
        return Tokens(split.ids, [flag and trains for flag in split.trained], last_turn_only=len(turns) > 1)

    def completion(self, prompt: Sequence[Message], answer: Sequence[Message], tools: Any = None) -> Tokens:
        """Prompt and answer; the answer starts where the tokens stop being those of the bare prompt."""
        ids = self.encode(self.render([*prompt, *answer], tools))
        asked = self.prompt_ids(prompt, tools) if prompt else []
        start = common_prefix(asked, ids)
        return Tokens(ids, [place >= start for place in range(len(ids))])

    def pair(
        self,
        prompt: Sequence[Message],
        chosen: Sequence[Message],
        rejected: Sequence[Message],
        tools: Any = None,
    ) -> Pair:
        asked = self.prompt_ids(prompt, tools)
        good = self.encode(self.render([*prompt, *chosen], tools))
        bad = self.encode(self.render([*prompt, *rejected], tools))
        start = min(common_prefix(asked, good), common_prefix(asked, bad))
        return Pair(asked[:start], good[start:], bad[start:])

    def text(self, text: str) -> Tokens:
        """Plain text with its end: every token is trained."""
        ids = self.encode(text)
        if self.eos_id is not None and (not ids or ids[-1] != self.eos_id):
            ids.append(self.eos_id)
        return Tokens(ids, [True] * len(ids))

    def _compile(self) -> Any:
        try:
            return _environment().from_string(self.template_text)
        except TemplateError as problem:
            raise EngineError(f"The chat template is not valid: {problem}", code="template") from problem

    def _render(self, messages: Sequence[Message], tools: Any, ask: bool) -> str:
        if self.template is None:
            raise EngineError("This base model has no chat template.", code="no_template")
        try:
            with limits.at_most(RENDER_SECONDS):
                text = self.template.render(
                    messages=list(messages), tools=tools or None, add_generation_prompt=ask, **self.specials
                )
        except limits.TooLong as problem:
            raise Unshowable(f"The chat template takes longer than {RENDER_SECONDS} seconds for the row.") from problem
        except (
            TemplateError,
            TypeError,
            ValueError,
            KeyError,
            OverflowError,
            RecursionError,
            MemoryError,
        ) as problem:
            raise Unshowable(f"The chat template refuses the row: {problem or type(problem).__name__}") from problem
        if len(text) > RENDERED_LIMIT:
            raise Unshowable("The chat template turns the row into more than 20 million characters.")
        return str(text)

    def _marked(self, messages: Sequence[Message], tools: Any, turns: list[int]) -> Tokens | None:
        """Ids and mask from the template's own marks; None when the marks do not fit the turns."""
        if any(mark in json.dumps(list(messages), ensure_ascii=False) for mark in (OPEN, CLOSE)):
            return None
        text, spans = split_marks(self._render(messages, tools, False))
        if len(spans) != len(turns):
            return None
        wanted = [span for span, place in zip(spans, turns, strict=True) if messages[place].get("weight", 1) != 0]
        encoded = self.tokenizer.encode(text, add_special_tokens=False)
        inside = [
            any(low <= start and end <= high and end > start for low, high in wanted) for start, end in encoded.offsets
        ]
        return Tokens(encoded.ids, inside)


def split_marks(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Text without the marks, and where in it each marked stretch stands."""
    plain, spans, start, length = [], [], 0, 0
    for piece in text.replace(CLOSE, OPEN).split(OPEN):
        plain.append(piece)
        start, length = length, length + len(piece)
        spans.append((start, length))
    return "".join(plain), spans[1::2]


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for place, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return place
    return min(len(left), len(right))


def template_text(folder: Path, config: dict[str, Any]) -> str:
    """The chat template, from its own file or from the tokenizer's config; empty when there is none."""
    file = folder / fingerprint.TEMPLATE_FILE
    if file.exists():
        return file.read_text(encoding="utf-8")
    found = config.get("chat_template") or ""
    if isinstance(found, list):  # several by name
        named = {entry["name"]: entry["template"] for entry in found}
        found = named.get("default", "")
    return str(found)


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as problem:
        raise EngineError(f"{path.name} is not valid JSON.", code="incomplete_model") from problem


def _specials(*sources: dict[str, Any]) -> dict[str, str]:
    """bos_token, eos_token, … as templates use them; written as text or as an object with the text in it."""
    names = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
    found: dict[str, str] = {}
    for source in sources:
        for name in names:
            value = source.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if text:
                found.setdefault(name, str(text))
    return found
