"""Exact byte-pair token counts at the speed of C, for tokenizers whose tokenizer.json asks for nothing unusual.

`supported` says what is unusual about one; whoever is told a reason falls back to the `tokenizers` package itself.
"""

import ctypes
import functools
import os
import tempfile
import unicodedata
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from datasets_app.engine import native

Array: TypeAlias = NDArray[Any]

GPT2, LLAMA3, O200K = 1, 2, 3
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_HEAD, _TAIL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
# Pattern in tokenizer.json → (family, most digits in one piece; 0 is no bound).
PATTERNS: dict[str, tuple[int, int]] = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": (GPT2, 0),
    rf"{CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{{1,3}}{_REST}": (LLAMA3, 3),
    rf"{CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{{1,2}}{_REST}": (LLAMA3, 2),
    rf"{CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{_REST}": (LLAMA3, 1),
    rf"{_LEAD}{_HEAD}*{_TAIL}+{CONTRACTIONS}?|{_LEAD}{_HEAD}+{_TAIL}*{CONTRACTIONS}?|\p{{N}}{{1,3}}"
    + _REST.replace(r"[\r\n]*|", r"[\r\n/]*|", 1): (O200K, 3),
}
STATE_SLOTS = 1 << 19  # pieces remembered by a state: 24 bytes each, and about as much again for the longer ones
# Outside these planes nothing is a letter, a number or a space: they are unassigned or private.
PLANES = [(0, 0xD800), (0xE000, 0x40000), (0xE0000, 0xE1000)]
CLASSES = {1: r"\p{L}", 2: r"\p{N}", 4: r"\s", 8: r"[\p{Lu}\p{Lt}]", 16: r"\p{Ll}", 32: r"\p{M}"}
STRIPPED = 64
UNSURE = 255


class Unsupported(ValueError):
    """The tokenizer asks for something that is not counted natively; the message says what."""


class NotNormal(ValueError):
    """The text is not in normal form C, and the tokenizer would bring it there first."""


def supported(path: Path) -> str:
    """Why this tokenizer.json cannot be counted natively; empty when it can."""
    try:
        _design(_read(path))
    except Unsupported as reason:
        return str(reason)
    return ""


def byte_alphabet() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary (GPT-2's mapping)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)]


_BYTES = {char: byte for byte, char in enumerate(byte_alphabet())}


def as_bytes(token: str) -> bytes:
    """The bytes a token of a byte-level vocabulary stands for; empty when it is not made of such characters."""
    try:
        return bytes([_BYTES[char] for char in token])
    except KeyError:
        return b""


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as problem:
        raise Unsupported(f"tokenizer.json cannot be read: {problem}") from problem


# What a tokenizer.json asks for


def _design(raw: Mapping[str, Any]) -> dict[str, int]:
    """Family, digits_max, split_digits, normalises, ignore_merges; raises Unsupported."""
    model = raw.get("model") or {}
    if model.get("type", "BPE") != "BPE" or "merges" not in model:
        raise Unsupported(f"a {model.get('type') or 'model without merges'} tokenizer")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(option):
            raise Unsupported(f"byte pairs with {option}")
    if any(char not in model["vocab"] for char in _BYTES):
        raise Unsupported("a vocabulary that does not hold every byte")
    design = {"normalises": _normaliser(raw.get("normalizer")), "ignore_merges": int(bool(model.get("ignore_merges")))}
    for token in raw.get("added_tokens") or []:
        for option in ("single_word", "lstrip", "rstrip"):
            if token.get(option):
                raise Unsupported(f"an added token with {option} ({token.get('content')})")
    return design | _pretokeniser(raw.get("pre_tokenizer"))


def _normaliser(step: Mapping[str, Any] | None) -> int:
    if step is None:
        return 0
    if step.get("type") == "NFC":
        return 1
    if step.get("type") == "Sequence":
        return max((_normaliser(part) for part in step.get("normalizers", [])), default=0)
    raise Unsupported(f"the normaliser {step.get('type')}")


def _pretokeniser(step: Mapping[str, Any] | None) -> dict[str, int]:
    if step is None:
        raise Unsupported("no pre-tokeniser")
    steps = list(step.get("pretokenizers", [])) if step.get("type") == "Sequence" else [step]
    split_digits = 0
    if steps and steps[0].get("type") == "Digits":
        split_digits = 1 if steps.pop(0).get("individual_digits") else 2
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        raise Unsupported("a pre-tokeniser that is not byte-level, or puts a space before the text")
    if len(steps) == 1 and steps[0].get("use_regex", True):
        return {"style": GPT2, "digits_max": 0, "split_digits": split_digits}
    style, digits_max = _split(steps[0]) if len(steps) == 2 and not steps[1].get("use_regex", True) else (0, 0)
    if not style:
        raise Unsupported("a sequence of pre-tokenisers that is not known")
    return {"style": style, "digits_max": digits_max, "split_digits": split_digits}


def _split(step: Mapping[str, Any]) -> tuple[int, int]:
    pattern = (step.get("pattern") or {}).get("Regex", "")
    # Every character belongs to a match, so keeping the matches and isolating them are the same.
    whole = (step.get("behavior"), bool(step.get("invert"))) in {("Isolated", False), ("Removed", True)}
    if step.get("type") != "Split" or not whole or pattern not in PATTERNS:
        raise Unsupported("a pattern that is not known")
    return PATTERNS[pattern]


# Tables of Unicode


@functools.cache
def classes() -> NDArray[np.uint8]:
    """Bits of every code point as the `tokenizers` package itself classes it; made once and kept beside the kernels."""
    import tokenizers

    path = native.FOLDER / "_built" / f"classes-{tokenizers.__version__}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    table: NDArray[np.uint8] = np.zeros(0x110000, np.uint8)
    points = np.concatenate([np.arange(low, high, dtype=np.uint32) for low, high in PLANES])
    text = points.tobytes().decode("utf-32-le")
    for bit, pattern in CLASSES.items():
        split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(f"(?:{pattern})+"), "removed")
        outside: NDArray[np.bool_] = np.zeros(len(points), bool)
        for _, (start, end) in split.pre_tokenize_str(text):
            outside[start:end] = True
        table[points[~outside]] |= bit
    table[[point for point in range(0x3001) if chr(point).isspace()]] |= STRIPPED
    with tempfile.NamedTemporaryFile(dir=_folder(path), suffix=".npy", delete=False) as aside:
        np.save(aside, table, allow_pickle=False)
    os.replace(aside.name, path)
    return table


def _folder(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return path.parent


@functools.cache
def normal_form() -> NDArray[np.uint8]:
    """The combining class of every code point that normal form C leaves alone wherever it stands; else UNSURE."""
    table: NDArray[np.uint8] = np.full(0x110000, UNSURE, np.uint8)
    seconds = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}
    for low, high in PLANES:
        for point in range(low, high):
            char = chr(point)
            if unicodedata.category(char) == "Cn":
                continue  # a newer standard may give it a form
            parts = unicodedata.decomposition(char).split()
            if len(parts) == 2:
                seconds.add(int(parts[1], 16))
            if not parts or parts[0][0] == "<" or unicodedata.is_normalized("NFC", char):
                table[point] = min(unicodedata.combining(char), UNSURE - 1)
    table[list(seconds)] = UNSURE
    return table


# The tokenizer


class Rows(ctypes.Structure):
    """The argument of bpe_rows: a batch, the plans of its rows, and where the counts go."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("text", "fragments", "seg_start", "seg_end", "row_seg", "row_plan")),
        *((name, ctypes.c_void_p) for name in ("plan_mode", "plan_seq", "parts", "odd")),
        *((name, ctypes.c_int64) for name in ("odds", "rows", "eos", "largest")),
        *((name, ctypes.c_void_p) for name in ("status", "total", "start", "total2", "row_span", "spans")),
        ("span_room", ctypes.c_int64),
    ]


def _kernels() -> ctypes.CDLL:
    lib = native.library()
    lib.bpe_model_new.restype = lib.bpe_state_new.restype = ctypes.c_void_p
    lib.bpe_encode.restype = lib.bpe_rows.restype = ctypes.c_int64
    return lib


def pointer(array: Array | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


class Bpe:
    """One tokenizer for one thread. Raises Unsupported when tokenizer.json asks for what is not counted natively."""

    def __init__(self, path: Path, slots: int = STATE_SLOTS) -> None:
        raw = _read(path)
        self.design = _design(raw)
        self._lib = _kernels()
        vocab: dict[str, int] = raw["model"]["vocab"]
        added = raw.get("added_tokens") or []
        self.tokens = 1 + max([*vocab.values(), *(token["id"] for token in added)])
        self.special = {token["id"] for token in added}
        self.token_to_id = (vocab | {token["content"]: token["id"] for token in added}).get
        self.texts = [b""] * self.tokens
        for token, number in vocab.items():
            self.texts[number] = as_bytes(token)
        self.bytes_of = self._bytes_by_id(added)
        self._keep = self._arrays(raw["model"], vocab, added)
        model = self._lib.bpe_model_new(*self._arguments())
        state = self._lib.bpe_state_new(ctypes.c_void_p(model), ctypes.c_size_t(slots)) if model else None
        if not state:
            self._lib.bpe_model_free(ctypes.c_void_p(model))
            raise MemoryError("no memory for the tokenizer")
        self.state = ctypes.c_void_p(state)
        weakref.finalize(self, _free, self._lib, model, state)

    def _bytes_by_id(self, added: Sequence[Mapping[str, Any]]) -> list[bytes]:
        found = self.texts.copy()
        for entry in added:
            found[entry["id"]] = entry["content"].encode()
        return found

    def _arrays(self, model: Mapping[str, Any], vocab: Mapping[str, int], added: Any) -> dict[str, Array]:
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        extra = [entry["content"].encode() for entry in added]
        starts = np.concatenate([[0], np.cumsum([len(text) for text in [*self.texts, *extra]])]).astype(np.int64)
        return {
            "classes": classes(),
            "nfc": normal_form() if self.design["normalises"] else np.zeros(0, np.uint8),
            "byte_id": np.array([vocab[char] for char in byte_alphabet()], np.uint32),
            "left": np.array([vocab[a] for a, _ in pairs], np.uint32),
            "right": np.array([vocab[b] for _, b in pairs], np.uint32),
            "made": np.array([vocab[a + b] for a, b in pairs], np.uint32),
            "blob": np.frombuffer(b"".join([*self.texts, *extra, bytes(1)]), np.uint8),
            "token_start": starts,
            "added_start": starts[self.tokens :],
            "added_id": np.array([entry["id"] for entry in added], np.uint32),
            # Tokens that are matched in normalised text are looked for in what the others leave.
            "added_late": np.array([bool(entry.get("normalized")) for entry in added], np.uint8),
        }

    def _arguments(self) -> list[Any]:
        keep, design = self._keep, self.design
        size = ctypes.c_size_t
        return [
            pointer(keep["classes"]),
            pointer(keep["nfc"] if design["normalises"] else None),
            *(ctypes.c_int(design[name]) for name in ("style", "digits_max", "split_digits", "ignore_merges")),
            *(pointer(keep[name]) for name in ("byte_id", "left", "right", "made")),
            size(len(keep["left"])),
            pointer(keep["blob"]),
            size(len(keep["blob"])),
            pointer(keep["token_start"]),
            size(self.tokens),
            *(pointer(keep[name]) for name in ("added_start", "added_id", "added_late")),
            size(len(keep["added_id"])),
        ]

    def encode(self, text: str | bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Token ids, and for each the byte of the UTF-8 text where it ends. Raises NotNormal."""
        data = text.encode() if isinstance(text, str) else text
        ids: NDArray[np.uint32] = np.empty(len(data) + 1, np.uint32)
        ends: NDArray[np.int64] = np.empty(len(data) + 1, np.int64)
        count = self._lib.bpe_encode(self.state, data, ctypes.c_size_t(len(data)), pointer(ids), pointer(ends))
        if count == -1:
            raise NotNormal("the text has to be normalised first")
        if count < 0:
            raise MemoryError("no memory for the text")
        return ids[:count], ends[:count]

    def rows(self, request: Rows) -> int:
        """Count the rows of a request (see bpe.c); returns the number of spans written."""
        return int(self._lib.bpe_rows(self.state, ctypes.byref(request)))


def _free(lib: ctypes.CDLL, model: int, state: int) -> None:
    lib.bpe_state_free(ctypes.c_void_p(state))
    lib.bpe_model_free(ctypes.c_void_p(model))
