"""The effect proof: what a model says of a few fixed texts without and with its adapter, and whether that is as stored.

Run after every load. On the way: `first` at the end of a run, `check` wherever an adapter is loaded again.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.domain import proofs
from training.domain.proofs import MOST_TOKENS, PROBES, TOPS, Found, Observation, Sketch
from training.engine import sketch
from training.engine.events import EngineError, emit, log


def probes(folder: Path, context: int = 0) -> list[list[int]]:
    """The fixed texts in tokens of the base in this folder."""
    from datasets_app.engine.rendering import read_tokenizer

    tokenizer = read_tokenizer(folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    most = min(MOST_TOKENS, context or MOST_TOKENS)
    encoded = (tokenizer.encode(text, add_special_tokens=False).ids[:most] for text in PROBES)
    return [ids for ids in encoded if len(ids) > 1]


def observe(model: Any, ids: Sequence[Sequence[int]], tops: Sequence[Sequence[int]] | None = None) -> Observation:
    """Log-probabilities in both arms; read twice, text by text and all at once, to know how exact a reading is."""
    import torch

    training, cache = model.training, model.config.use_cache
    model.eval()
    model.config.use_cache = False
    try:
        with torch.no_grad():  # not inference mode, in which weights that several cards share cannot be fetched
            # As it was loaded comes first: what switches the adapter off for a moment must not switch it on.
            chosen = tops or [_tops(model, row) for row in ids]
            adapted = _read(model, ids, chosen)
            with model.disable_adapter():
                base, again = _read(model, ids, chosen), _read_at_once(model, ids, chosen)
    finally:
        model.train(training)
        model.config.use_cache = cache
    noise = proofs.apart(base, again)
    return Observation(
        ids=[list(row) for row in ids],
        tops=[list(row) for row in chosen],
        base=base,
        adapter=adapted,
        numerics=numerics(model),
        noise=noise,
    )


def read_alone(model: Any, ids: Sequence[Sequence[int]], tops: Sequence[Sequence[int]]) -> list[float]:
    """The same tokens asked of a model that carries no adapter: a base, or one that was made of the two."""
    import torch

    with torch.inference_mode():
        return _read(model, ids, tops)


def numerics(model: Any) -> str:
    """Where and in which numbers a model computes, as far as that moves its answers."""
    if getattr(model, "is_loaded_in_4bit", False):
        return f"{model.device.type} 4bit"
    return f"{model.device.type} {str(model.get_input_embeddings().weight.dtype).removeprefix('torch.')}"


def _logs(model: Any, rows: Sequence[Sequence[int]], pad: int = 0) -> Any:
    """Log-probabilities of every token behind every place; padded on the right, where nothing looks back from."""
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
    return model(input_ids=ids, attention_mask=mask).logits.float().log_softmax(-1)


def _tops(model: Any, row: Sequence[int]) -> list[int]:
    last = _logs(model, [row])[0, -1]
    found: list[int] = last.topk(min(TOPS, len(last))).indices.tolist()
    return found


def _read(model: Any, ids: Sequence[Sequence[int]], tops: Sequence[Sequence[int]]) -> list[float]:
    return [value for row, top in zip(ids, tops, strict=True) for value in _values(_logs(model, [row])[0], row, top)]


def _read_at_once(model: Any, ids: Sequence[Sequence[int]], tops: Sequence[Sequence[int]]) -> list[float]:
    logs = _logs(model, ids)
    return [value for n, (row, top) in enumerate(zip(ids, tops, strict=True)) for value in _values(logs[n], row, top)]


def _values(logs: Any, row: Sequence[int], top: Sequence[int]) -> list[float]:
    """The tokens of the text itself, each behind those before it, and the likeliest ones behind all of it."""
    own = [float(logs[place, token]) for place, token in enumerate(row[1:])]
    return [round(value, 7) for value in own + [float(logs[len(row) - 1, token]) for token in top]]


def first(model: Any, base: Path) -> dict[str, Any] | None:
    """The proof of an adapter that has just been made. None where that went wrong: the first load makes it as well."""
    try:
        context = getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 0
        return asdict(observe(model, probes(base, context)))
    except Exception as problem:  # no room on the card, a model that cannot be asked: the adapter is worth more
        log(f"no effect proof: {type(problem).__name__}: {problem}"[:500])
        return None


def check(model: Any, stored: dict[str, Any], base: Path, *, own_base: bool = True) -> dict[str, Any]:
    """Prove what has been loaded, or raise with the name of what is wrong. Returns what may be stored of it.

    `stored`: {"weights": sketch or None, "observed": observations by numerics}. What is missing there is taken from
    this load, whose files have been checked.
    """
    weights = stored.get("weights")
    seen = sketch.of_model(model)
    before = (stored.get("observed") or {}).get(numerics(model))
    asked = before or next(iter((stored.get("observed") or {}).values()), None)
    now = _asked_again(model, asked, base)
    read = Observation.read
    found = proofs.judge(
        Sketch.read(weights) if weights else None,
        Sketch.read(seen),
        read(before) if before else None,
        now,
        own_base=own_base,
    )
    told = _told(found, now, before)
    emit("proof", observed=asdict(now), first=before is None and own_base and not found, **told)
    if found:
        text = f"{found[0].text} Nothing is computed with it: restore the files, or make the adapter again."
        raise EngineError(f"Effect proof: {text}", code=found[0].fault.value)
    return told


def _asked_again(model: Any, stored: dict[str, Any] | None, base: Path) -> Observation:
    """The stored tokens where there are any, even those that this base may not have."""
    if stored is None:
        return observe(model, probes(base))
    try:
        return observe(model, stored["ids"], stored["tops"])
    except IndexError as problem:
        text = "Effect proof: This base does not even have the tokens that were asked when the adapter was made."
        raise EngineError(text, code=proofs.Fault.OTHER_BASE.value) from problem


def _told(found: list[Found], now: Observation, before: dict[str, Any] | None) -> dict[str, Any]:
    gap = proofs.apart(before["adapter"], now.adapter) if before else None
    return {
        "faults": [{"code": one.fault.value, "text": one.text} for one in found],
        "effect": round(now.effect, 6),
        "apart": gap if gap is None or gap < 1e9 else 1e9,
        "tolerance": now.tolerance,
        "numerics": now.numerics,
    }
