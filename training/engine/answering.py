"""Greedy answers to several prompts at once: what `generate` gives, in far fewer commands to the card.

A token of a few rows is little work in thousands of kernels, and what takes the time is to launch them one by one. So
on a card one token is recorded as a CUDA graph and played for all that follow. That needs room for keys and values that
does not grow, and no number that only the CPU knows.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from training.domain.pace import PLAYED
from training.engine.events import log

LOOKED_AT = 8  # tokens; to see whether all have ended means to wait for the card


def fits(model: Any) -> bool:
    """Decoders whose layers all see everything before a token, and take a mask as it is given.

    Each kind is compared with `generate` by a test; what is not known is left to it.
    """
    inner = _inner(model)
    config: Any = getattr(inner, "config", None)
    if type(inner).__name__ not in PLAYED or config._attn_implementation != "sdpa":
        return False
    kinds = getattr(config, "layer_types", None) or ()
    slides = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return all(kind == "full_attention" for kind in kinds) if kinds else not slides


@torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
def greedy(model: Any, ids: Any, mask: Any, *, most: int, stops: list[int], enough: Callable[[], bool]) -> Any:
    """Tokens after `ids`, which are padded on their left where `mask` is 0; beyond a stop they mean nothing.

    (rows, at most `most`), int64.
    """
    writer = Writer(_inner(model), ids, mask, most)
    tokens, ends = [writer.token.clone()], torch.tensor(stops, device=ids.device)
    play: Callable[[], None] | None = None
    while len(tokens) < most and not enough():
        if len(tokens) % LOOKED_AT == 0 and stops and _all_over(tokens, ends):
            break
        if play is not None:
            play()
        elif writer.can_be_recorded:
            play = _stepped_and_recorded(writer)
        else:
            play = writer.step
            play()
        tokens.append(writer.token.clone())
    return torch.cat(tokens, dim=1)


def _inner(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _all_over(tokens: list[Any], ends: Any) -> bool:
    return bool(torch.isin(torch.cat(tokens, dim=1), ends).any(dim=1).all())


class Kept:
    """Keys and values of all layers, with room for all there will be; the models call `update`."""

    def __init__(self, room: int, device: Any) -> None:
        self.room, self.slots = room, torch.arange(room, device=device)
        self.here = torch.zeros(room, dtype=torch.bool, device=device)  # the one place that a step writes to
        self.layers: dict[int, tuple[Any, Any]] = {}

    def update(self, keys: Any, values: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        if layer not in self.layers:
            self.layers[layer] = (self._with_room(keys), self._with_room(values))
        else:
            here = self.here[:, None]
            for kept, new in zip(self.layers[layer], (keys, values), strict=True):
                torch.where(here, new, kept, out=kept)
        return self.layers[layer]

    def _with_room(self, new: Any) -> Any:
        whole = new.new_zeros((*new.shape[:2], self.room, new.shape[3]))
        whole[:, :, : new.shape[2]] = new
        return whole

    def get_seq_length(self, *_: Any) -> int:
        return 0  # positions are given


class Writer:
    """Reads the prompts when it is made; each `step` writes one more token into `token`, always at the same address."""

    def __init__(self, model: Any, ids: Any, mask: Any, most: int) -> None:
        rows, width = ids.shape
        self.model, self.cache = model, Kept(width + most, ids.device)
        self.seen = torch.zeros((rows, width + most), dtype=torch.bool, device=ids.device)
        self.seen[:, :width] = mask.bool()
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        before = torch.ones((width, width + most), dtype=torch.bool, device=ids.device).tril()
        # What is padded sees itself, or what it gives would be no number.
        itself = torch.eye(width, width + most, dtype=torch.bool, device=ids.device)
        self.token = torch.zeros((rows, 1), dtype=ids.dtype, device=ids.device)
        self._ask(ids, (before & self.seen[:, None]) | itself, positions, logits_to_keep=1)
        self.position = positions[:, -1:] + 1
        self.place = torch.tensor([width], device=ids.device)

    @property
    def can_be_recorded(self) -> bool:
        """What packs its weights has programs of its own, of which nobody knows what they wait for."""
        return bool(self.token.is_cuda) and not getattr(self.model, "is_quantized", False)

    def step(self) -> None:
        torch.eq(self.cache.slots, self.place, out=self.cache.here)
        self.seen.logical_or_(self.cache.here)
        self._ask(self.token, self.seen[:, None], self.position)
        self.position.add_(1)
        self.place.add_(1)

    def _ask(self, ids: Any, seen: Any, positions: Any, **more: Any) -> None:
        found = self.model(
            input_ids=ids, attention_mask=seen[:, None], position_ids=positions, past_key_values=self.cache,
            use_cache=True, **more,
        )  # fmt: skip
        self.token.copy_(found.logits[:, -1].argmax(-1, keepdim=True))


def _stepped_and_recorded(writer: Writer) -> Callable[[], None]:
    """One step, and all that follow: played from a record, or as this one where it could not be recorded."""
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(stream):
            writer.step()  # libraries prepare themselves for a stream when they are first used on it
            # Other threads may use the card: they fetch the next rows. Recording runs nothing, so nothing is lost.
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                writer.step()
            finally:
                graph.capture_end()
    except RuntimeError as problem:
        log(f"samples are answered kernel by kernel: {type(problem).__name__}: {problem}"[:300])
        with suppress(RuntimeError):
            graph.reset()
        return writer.step
    finally:
        torch.cuda.current_stream().wait_stream(stream)
    replay: Callable[[], None] = graph.replay
    return replay
