"""Rows to tokens with a template rendered in a child and tokens found natively; else as rendering.py does it."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets_app.engine.bpe import Bpe, NotNormal
from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer, Tokens, touched
from projects.domain.errors import Refused


class FastChat(ChatTokenizer):
    """A ChatTokenizer whose templates are rendered in a child and whose tokens are counted natively."""

    def __init__(self, folder: Path, renderer: Renderer | None, bpe: Bpe | None) -> None:
        self.folder, self.bpe = folder, bpe
        self._render = renderer or no_template
        self.specials = renderer.specials if renderer else {}
        self.template_text = renderer.text if renderer else ""

    @cached_property
    def _slow(self) -> ChatTokenizer:
        return ChatTokenizer(self.folder, self._render if isinstance(self._render, Renderer) else _Bare())

    @property
    def tokenizer(self) -> Any:  # type: ignore[override]
        return self._slow.tokenizer

    @property
    def eos_id(self) -> int | None:
        if "eos_token" not in self.specials:
            return None
        eos = self.specials["eos_token"]
        return self.bpe.token_to_id(eos) if self.bpe else self.tokenizer.token_to_id(eos)

    def encode(self, text: str) -> list[int]:
        try:
            return self.bpe.encode(text)[0].tolist() if self.bpe else self._slow.encode(text)
        except NotNormal:
            return self._slow.encode(text)

    def pieces(self, text: str) -> tuple[list[int], list[str]]:
        """Token ids, and of each the characters that begin in it; a character's later bytes show as “…”."""
        try:
            found = self.bpe.encode(text) if self.bpe else None
        except NotNormal:
            found = None
        if found is not None:
            return found[0].tolist(), texts_between(text.encode(), found[1].tolist())
        encoded = self.tokenizer.encode(text, add_special_tokens=False)
        return encoded.ids, texts_within(text, encoded.offsets)

    @cached_property
    def special(self) -> set[int]:
        """Ids of tokens that are added to the vocabulary, such as the marks between turns."""
        return self.bpe.special if self.bpe else set(self.tokenizer.get_added_tokens_decoder())

    def spread(self, text: str, spans: Sequence[tuple[int, int]]) -> Tokens:
        try:
            found = self.bpe.encode(text) if self.bpe else None
        except NotNormal:
            found = None
        if found is None:
            return self._slow.spread(text, spans)
        ends = found[1].tolist()
        bytes_of = [(len(text[:low].encode()), len(text[:high].encode())) for low, high in spans]
        return Tokens(found[0].tolist(), touched(list(zip([0, *ends], ends, strict=False)), bytes_of))


class _Bare:
    """Stands for the template of a folder without one."""

    text, specials = "", {}  # type: ignore[var-annotated]

    def __call__(self, *args: Any, **options: Any) -> str:
        return no_template()


def no_template(*args: Any, **options: Any) -> str:
    raise Refused("This base model has no chat template.", code="no_template")


def texts_between(data: bytes, ends: Sequence[int]) -> list[str]:
    """What stands between the ends, in bytes, of tokens; each character where its first byte is."""
    found, start = [], 0
    for end in ends:
        low, high = start, end
        while low < high and data[low] & 0xC0 == 0x80:
            low += 1
        while high < len(data) and data[high] & 0xC0 == 0x80:
            high += 1
        found.append(data[low:high].decode() if low < end else "…")
        start = end
    return found


def texts_within(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    """The same from characters; what lies before a token and in none, such as a space, is shown with it."""
    found, start = [], 0
    for low, high in offsets:
        found.append(text[min(start, low) : high] if high > start else "…")
        start = max(start, high)
    return found
