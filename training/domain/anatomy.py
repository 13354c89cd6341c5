"""What is remembered of a model besides its fingerprint: shapes by name, config, tokenizer. Enough to compare two

versions without opening either again. Layers are folded together, so that a model of a hundred layers takes a page.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from training.domain.integrity import Shapes

NUMBER = re.compile(r"\.(\d+)\.")
# What transformers writes into a config that says nothing about the network.
SAYS_NOTHING = frozenset({"_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache"})
MOST_TEXT = 200  # of one value of a config
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
Folded = dict[str, list[list[Any]]]


def fold(shapes: Shapes) -> Folded:
    """Names with their first number taken out: {"layers.#.w": [[first, last, [out, in]], …]}; -1 for no number."""
    found: dict[str, dict[int, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        match = NUMBER.search(name)
        number = match[1] if match else ""
        if match and str(int(number)) == number:
            key, place = f"{name[: match.start(1)]}#{name[match.end(1) :]}", int(number)
        else:
            key, place = name, -1
        found.setdefault(key, {})[place] = shape
    return {key: _runs(found[key]) for key in sorted(found)}


def _runs(numbered: Mapping[int, tuple[int, ...]]) -> list[list[Any]]:
    runs: list[list[Any]] = []
    for number, shape in sorted(numbered.items()):
        if runs and runs[-1][1] == number - 1 and number > 0 and runs[-1][2] == list(shape):
            runs[-1][1] = number
        else:
            runs.append([number, number, list(shape)])
    return runs


class Known(dict[str, tuple[int, ...]]):
    """Shapes by name of which there is one for each content, so that what was found out of them can be remembered.

    Nobody changes one.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]


def known(shapes: Shapes) -> Known:
    return shapes if isinstance(shapes, Known) else Known(shapes)


def unfold(folded: Mapping[str, Any]) -> Known:
    """The shapes by name again."""
    return _unfolded(json.dumps(folded, sort_keys=True))


@lru_cache(maxsize=256)
def _unfolded(folded: str) -> Known:
    found = Known()
    for key, runs in json.loads(folded).items():
        for first, last, shape in runs:
            for number in range(first, last + 1):
                found[key if number < 0 else key.replace("#", str(number), 1)] = tuple(shape)
    return found


def of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config by path, without those that say nothing about the network."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("", config)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting += [(f"{path}.{key}" if path else str(key), part) for key, part in value.items()]
        elif path.rpartition(".")[2] not in SAYS_NOTHING:
            found[path[:MOST_TEXT]] = _short(value)
    return dict(sorted(found.items()))


def _short(value: Any) -> Any:
    """Plain values as they are; long ones by their hash, so that they can be compared and not read."""
    text = json.dumps(value, sort_keys=True)
    if len(text) > MOST_TEXT:
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text if isinstance(value, float) else value  # databases write floats as they please


def of_tokenizer(raw: Mapping[str, Any], config: Mapping[str, Any], special: Mapping[str, Any]) -> dict[str, Any]:
    """What a tokenizer.json, a tokenizer_config.json and a special_tokens_map.json say, as far as it can matter.

    `vocabulary`: which number each piece of text has. `rules`: how text is cut into pieces. `special`: which pieces
    mean the beginning and the end.
    """
    model = dict(raw.get("model") or {})
    vocabulary = model.pop("vocab", None)
    added = [[one.get("id"), one.get("content")] for one in raw.get("added_tokens") or [] if isinstance(one, Mapping)]
    rules = {name: raw.get(name) for name in ("normalizer", "pre_tokenizer", "decoder")}
    return {
        "tokens": len(vocabulary or ()) + sum(1 for _, text in added if text not in (vocabulary or ())),
        "vocabulary": digest([_pairs(vocabulary), sorted(added, key=str)]),
        "rules": digest([model, rules]),
        "special": {name: text for name in SPECIAL if (text := _text(special.get(name) or config.get(name)))},
    }


def _pairs(vocabulary: Any) -> Any:
    """Word to number, or a list whose places are the numbers."""
    return sorted(vocabulary.items()) if isinstance(vocabulary, Mapping) else vocabulary


def _text(value: Any) -> str:
    found = value.get("content") if isinstance(value, Mapping) else value
    return str(found)[:MOST_TEXT] if found else ""


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
