"""The header of a safetensors file, read as if its maker wished us harm: no weights are touched.

8 bytes with the length N of the header, N bytes of JSON, then the data. Every tensor says its type, its shape and from
where to where in the data it lies (https://github.com/huggingface/safetensors, “Format”).
"""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from projects.domain.errors import Invalid
from training.domain.documents import BadDocument, read_object

Header = dict[str, dict[str, Any]]
MOST_HEADER = 100_000_000  # the format's own bound
MOST_DIMENSIONS, MOST_ELEMENTS, MOST_NAME = 16, 2**53, 1000
# Bits of one number of each type.
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "C64": 64,
    "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip
KEYS = {"dtype", "shape", "data_offsets"}


class DamagedWeights(Invalid):
    """The file is not what a whole and honest safetensors file is."""

    code = "damaged_weights"


def read_header(first: bytes, size: int, *, most: int = MOST_HEADER) -> Header:
    """The tensors of a file from its first bytes; `size` is the length of the whole file."""
    length = header_length(first, size, most=most)
    if len(first) < 8 + length:
        raise DamagedWeights("The weights file has been cut within its header.")
    try:
        header = read_object(first[8 : 8 + length], most_bytes=most)
    except BadDocument as problem:
        raise DamagedWeights(f"The header of the weights file {problem}.") from problem
    _check_metadata(header.pop("__metadata__", None))
    places = sorted(_place(name, entry) for name, entry in header.items())
    _check_places(places, size - 8 - length)
    return header


def header_length(first: bytes, size: int, *, most: int = MOST_HEADER) -> int:
    """How long the header is, which the first eight bytes say, if that can be true."""
    if len(first) < 8:
        raise DamagedWeights("The weights file is too short to be one.")
    (length,) = struct.unpack("<Q", first[:8])
    if length < 2 or length > most or 8 + length > size:
        raise DamagedWeights("The weights file has an impossible header.")
    if first[8:9] not in {b"{", b""}:
        raise DamagedWeights("The weights file is no safetensors file: its header is no JSON object.")
    return int(length)


def _check_metadata(found: Any) -> None:
    if found is None:
        return
    if not isinstance(found, Mapping) or not all(isinstance(value, str) for value in found.values()):
        raise DamagedWeights("The weights file has metadata that are no texts.")


def _place(name: str, entry: Any) -> tuple[int, int, str]:
    """From where to where a tensor lies, once all that it says about itself fits together."""
    if not isinstance(entry, Mapping) or set(entry) != KEYS or not 0 < len(name) <= MOST_NAME:
        raise _lie(name, "does not say its type, shape and place")
    bits = BITS.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if bits is None:
        raise _lie(name, f"is of an unknown type “{str(entry['dtype'])[:20]}”")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_whole(shape, MOST_DIMENSIONS) or not _are_whole(offsets, 2) or len(offsets) != 2:
        raise _lie(name, "has a shape or place that is none")
    count = elements(shape)
    if count > MOST_ELEMENTS or (count * bits + 7) // 8 != offsets[1] - offsets[0]:
        raise _lie(name, f"of shape {str(shape)[:60]} does not fit the bytes it claims")
    return offsets[0], offsets[1], name


def _are_whole(values: Any, most: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= most
        and all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
    )


def _check_places(places: list[tuple[int, int, str]], size: int) -> None:
    """The tensors lie one behind the other, from the first byte of the data to the last."""
    if places and places[0][0] != 0:
        raise _lie(places[0][2], "does not lie where the data begins")
    for (_, end, _), (start, _, name) in pairwise(places):
        if start != end:
            raise _lie(name, "lies over another tensor" if start < end else "leaves a gap before it")
    if (places[-1][1] if places else 0) != size:
        raise DamagedWeights("The weights file has been cut or extended.")


def _lie(name: str, what: str) -> DamagedWeights:
    return DamagedWeights(f"The tensor “{name[:120]}” {what}.")


def elements(shape: list[int]) -> int:
    """How many numbers a tensor of this shape holds."""
    count = 1
    for side in shape:
        count *= side
        if count > MOST_ELEMENTS:
            return count  # no need to multiply on towards millions of digits
    return count


def parameters(header: Header) -> int:
    """How many numbers all tensors hold."""
    return sum(elements(entry["shape"]) for entry in header.values())


def main_dtype(headers: Iterable[Header]) -> str:
    """What most of the bytes are stored as, such as BF16; empty where there are none."""
    found: Counter[str] = Counter()
    for header in headers:
        for entry in header.values():
            found[entry["dtype"]] += entry["data_offsets"][1] - entry["data_offsets"][0]
    return found.most_common(1)[0][0] if found else ""


def shapes(header: Header) -> dict[str, tuple[int, ...]]:
    return {name: tuple(entry["shape"]) for name, entry in header.items()}
