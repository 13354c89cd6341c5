"""A base model's chat template: compiled in a sandbox, rendered with the marks of what the assistant says."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension

from datasets_app.engine import apart, template_rules
from datasets_app.engine.template_rules import Sandbox
from projects.domain.errors import Refused

Message = dict[str, Any]
# Two private-use characters around what the assistant says; a row that holds them is rendered without marks.
OPEN, CLOSE = "\U000f1e55", "\U000f1e56"
# Processor time for a row; characters that a template may write of its own, and for each that the row brings.
RENDER_SECONDS = 2
OWN_CHARACTERS, TIMES, RENDERED_LIMIT = 1_000_000, 4, 20_000_000
TEMPLATE_FILE = "chat_template.jinja"
SPECIALS = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
LOOKING = {
    "split", "rsplit", "startswith", "endswith", "replace", "find", "rfind", "index", "rindex", "count", "partition",
    "rpartition", "removeprefix", "removesuffix", "strip", "lstrip", "rstrip",
}  # fmt: skip
OURS = {"messages", "tools", "add_generation_prompt"}


class Unshowable(Refused):
    """The chat template refuses this row or cannot show it."""

    code = "template"

    @property
    def failure(self) -> str:
        """What a run or an evaluation fails with when it cannot go on without the row."""
        return self.code if self.code in {"template_limit", "template_forbidden"} else "template"


class _Generation(Extension):
    """{% generation %} … {% endgeneration %}: the mark by which a chat template says what the assistant wrote."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{OPEN}{caller()}{CLOSE}"


def _environment() -> Sandbox:
    """The dialect chat templates are written in: trimmed blocks, loop controls, tojson without HTML escapes."""
    env = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"])

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
    return env


class ChatTemplate:
    """The template of a folder with a tokenizer; `compiled` is None when there is none."""

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / "tokenizer_config.json")
        self.specials = _specials(config, read_json(folder / "special_tokens_map.json"))
        self.text = template_text(folder, config)
        self.compiled = self._compile() if self.text else None

    @property
    def marks_answers(self) -> bool:
        return "endgeneration" in self.text

    def _compile(self) -> Any:
        if len(self.text) > template_rules.MOST_SOURCE:
            raise Refused("The chat template is longer than a million characters.", code="template_limit")
        try:
            env = _environment()
            template_rules.check(env.parse(self.text))
            return env.from_string(self.text)
        except (RecursionError, MemoryError) as problem:
            raise Refused("The chat template takes too much to be read.", code="template_limit") from problem
        except TemplateError as problem:
            text = f"The chat template is not valid: {problem or type(problem).__name__}"
            raise Refused(text, code="template") from problem

    def render(
        self, messages: Sequence[Message], tools: Any = None, *, ask: bool = False, options: Mapping[str, Any] = {}
    ) -> str:
        """The text with its marks. Raises Unshowable; Refused("no_template") when there is no template."""
        if self.compiled is None:
            raise Refused("This base model has no chat template.", code="no_template")
        given: dict[str, Any] = {name: value for name, value in options.items() if name not in OURS}
        given |= {"messages": list(messages), "tools": tools or None, "add_generation_prompt": ask}
        try:
            with apart.at_most(RENDER_SECONDS):
                return self._written(self.specials | given)
        except apart.TooLong as problem:
            text = f"The chat template takes longer than {RENDER_SECONDS} seconds for the row."
            raise Unshowable(text, code="template_limit") from problem
        except (MemoryError, RecursionError, OverflowError) as problem:
            raise Unshowable("The chat template takes too much for the row.", code="template_limit") from problem
        except SecurityError as problem:
            text = f"The chat template tries what a template may not: {problem}."
            raise Unshowable(text, code="template_forbidden") from problem
        except (TemplateError, TypeError, ValueError, KeyError, ArithmeticError, AttributeError) as problem:
            raise Unshowable(f"The chat template refuses the row: {problem or type(problem).__name__}") from problem

    def _written(self, given: dict[str, Any]) -> str:
        """Piece by piece, so that one that writes without end is stopped long before memory is."""
        pieces, length = [], 0
        assert self.compiled is not None  # whoever has no template has been told so before
        most = min(RENDERED_LIMIT, OWN_CHARACTERS + TIMES * _characters(given))
        for piece in self.compiled.generate(**given):
            length += len(piece)
            if length > most:
                text = f"The chat template turns the row into more than {most:,} characters."
                raise Unshowable(text, code="template_limit")
            pieces.append(piece)
        return "".join(pieces)

    def looks_for(self) -> list[str]:
        """Texts that the template may look for in what a turn says: a row that holds one is rendered on its own."""
        if not self.text:
            return []
        tree = _environment().parse(self.text)
        loops = {loop.target.name for loop in tree.find_all(nodes.For) if isinstance(loop.target, nodes.Name)}
        found: set[str] = set()
        for call in tree.find_all((nodes.Call, nodes.Filter)):
            if _looks_inside(call):
                found |= {const.value for arg in call.args for const in _constants(arg)}
        for compare in tree.find_all(nodes.Compare):
            for operand in compare.ops:
                if operand.op in {"in", "notin"} and not _is_turn(operand.expr, loops):
                    found |= {const.value for const in _constants(compare.expr)}
        if any(_cuts_words(item) for item in tree.find_all(nodes.Getitem)):
            found.add("")  # nothing can be known beforehand
        return sorted(text for text in found if text.strip() or text == "")


def _looks_inside(call: Any) -> bool:
    """True for content.split('…') and the like, content | replace('…', '…')."""
    if isinstance(call, nodes.Filter):
        return bool(call.name == "replace")
    return isinstance(call.node, nodes.Getattr) and call.node.attr in LOOKING


def _cuts_words(item: nodes.Getitem) -> bool:
    """A slice of anything but the list of messages may be a slice of what a turn says."""
    of_messages = isinstance(item.node, nodes.Name) and "messages" in item.node.name
    return isinstance(item.arg, nodes.Slice) and not of_messages


def _constants(node: nodes.Node) -> list[Any]:
    here = [node] if isinstance(node, nodes.Const) else []
    return [one for one in [*here, *node.find_all(nodes.Const)] if isinstance(one.value, str)]


def _is_turn(node: nodes.Node, loops: set[str]) -> bool:
    """True for `x in message` and `x in ['a', 'b']`, which say nothing about the text of a turn."""
    return (isinstance(node, nodes.Name) and node.name in loops) or isinstance(node, nodes.List | nodes.Tuple)


def _characters(value: Any) -> int:
    """How many characters a row brings, its keys left out."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 0


def template_text(folder: Path, config: dict[str, Any]) -> str:
    """The chat template, from its own file or from the tokenizer's config; empty when there is none."""
    file = folder / TEMPLATE_FILE
    if file.exists():
        return file.read_text(encoding="utf-8")
    found = config.get("chat_template") or ""
    if isinstance(found, list):  # several by name
        named = {str(entry.get("name")): entry.get("template") for entry in found if isinstance(entry, Mapping)}
        found = named.get("default") or ""
    if not isinstance(found, str):
        raise Refused("The chat template in tokenizer_config.json is no text.", code="template")
    return found


def read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as problem:
        raise Refused(f"{path.name} is not valid JSON.", code="incomplete_model") from problem


def _specials(*sources: dict[str, Any]) -> dict[str, str]:
    """bos_token, eos_token, … as templates use them; written as text or as an object with the text in it."""
    found: dict[str, str] = {}
    for source in sources:
        for name in SPECIALS:
            value = source.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if text:
                found.setdefault(name, str(text))
    return found


def split_marks(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Text without the marks, and where in it each marked stretch stands."""
    plain, spans, start, length = [], [], 0, 0
    for piece in text.replace(CLOSE, OPEN).split(OPEN):
        plain.append(piece)
        start, length = length, length + len(piece)
        spans.append((start, length))
    return "".join(plain), spans[1::2]


def unmarked(text: str) -> str:
    return text.replace(OPEN, "").replace(CLOSE, "")
