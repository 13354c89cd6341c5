"""Base and adapter as one set of weights, tensor by tensor: no more than one matrix is ever in memory."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from training.domain import adapters, derived, faithful, integrity, safetensors
from training.domain.derived import Kind, Stored
from training.engine import weights
from training.engine.events import EngineError

TIED = ("lm_head", "embed_tokens")


class Merged:
    """The tensors of a base with an adapter added in 32 bit, as an iterator or one by one. A context manager."""

    def __init__(self, base: Path, adapter: Path, config: dict[str, Any], device: str = "cpu") -> None:
        self.base, self.adapter, self.device = base, adapter, device
        self.scale = integrity.scale(config)
        self.transposed = bool(config.get("fan_in_fan_out"))
        headers = weights.base_headers(base)
        self.stored: dict[str, Stored] = derived.read_stored(headers)
        self.file_of = {name: file for file, header in headers.items() for name in header}
        self.halves = weights.header_of(adapter / adapters.WEIGHTS, most=weights.ADAPTER_HEADER)
        self.module_of = self._places()
        self._open = ExitStack()
        self._files: dict[str, Any] = {}

    def __enter__(self) -> "Merged":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: one.shape for name, one in self.stored.items()}

    def _places(self) -> dict[str, str]:
        """The adapted module of each of the base's tensors, once all of them have a place."""
        if packed := sorted({one.dtype for one in self.stored.values()} & weights.PACKED):
            raise EngineError(
                f"The base itself is quantised (weights of type {packed[0]}), so nothing can be added to it. "
                "Register the version that it was quantised from.",
                code="base_quantised",
            )
        pairs = safetensors.shapes(self.halves)
        found = faithful.places(self.shapes, pairs)
        if missing := [pair.module for pair in integrity.pairs(pairs) if pair.module not in found]:
            tied = missing[0].rpartition(".")[2] in TIED
            why = (
                "shares its weights with another part of the model, which would change as well"
                if tied
                else "has no weights of its own in the base's files"
            )
            raise EngineError(f"The layer {missing[0]} {why}. Serve the adapter on its base.", code="not_mergeable")
        self._check_tied(found)
        return {name: module for module, name in found.items()}

    def _check_tied(self, found: dict[str, str]) -> None:
        """An embedding that is the output layer as well may not be changed as only one of the two."""
        tied = weights.read_config(self.base / "config.json").get("tie_word_embeddings")
        for module, name in found.items():
            if tied and module.rpartition(".")[2] in TIED:
                raise EngineError(
                    f"The adapter changes {module}, and {name} is the input and the output of this model at once. "
                    "Serve the adapter on its base.",
                    code="not_mergeable",
                )

    def raw(self, name: str) -> Any:
        """A tensor of the base as it is stored."""
        return self._file(self.base / self.file_of[name]).get_tensor(name).to(self.device)

    def added(self, name: str) -> Any | None:
        """What the adapter adds to it, in 32 bit: scale · B·A. None where it adds nothing."""
        module = self.module_of.get(name)
        if module is None:
            return None
        file = self._file(self.adapter / adapters.WEIGHTS)
        stem = f"base_model.model.{module}"
        one, other = (file.get_tensor(f"{stem}.lora_{half}.weight").to(self.device).float() for half in "AB")
        found = self.scale * (other @ one)
        return found.T.contiguous() if self.transposed else found

    def whole(self, name: str) -> Any:
        """Base and adapter together, in 32 bit where the adapter adds something and as stored elsewhere."""
        raw, more = self.raw(name), self.added(name)
        return raw if more is None else raw.float() + more

    def _file(self, path: Path) -> Any:
        from safetensors import safe_open

        if str(path) not in self._files:
            self._files[str(path)] = self._open.enter_context(safe_open(path, framework="pt"))
        return self._files[str(path)]

    def plan(self, kind: Kind, most: int = derived.SHARD_BYTES) -> list[list[str]]:
        """Which of the base's tensors go into which weight file."""
        return derived.shards(((name, derived.sizes(name, one, kind)) for name, one in self.stored.items()), most)

    def size(self, kind: Kind) -> int:
        return sum(derived.sizes(name, one, kind) for name, one in self.stored.items())


def made(source: Merged, name: str, kind: Kind) -> Iterator[tuple[str, Any]]:
    """What stands in a derived model for one tensor of the base, on the processor."""
    import torch

    from training.engine import packing

    raw = source.raw(name)
    more = source.added(name)
    whole = raw if more is None else raw.float() + more
    if derived.is_quantised(name, tuple(raw.shape), kind):
        dtype = {"BF16": torch.bfloat16, "F16": torch.float16}.get(
            derived.scale_type(source.stored[name].dtype), torch.float32
        )
        found = packing.packed(name, whole.float(), kind, dtype)
        _check_finite(name, found[f"{name.removesuffix('weight')}weight_scale"])
        yield from ((key, value.cpu().contiguous()) for key, value in found.items())
        return
    kept = whole.to(raw.dtype)
    if more is not None:
        _check_finite(name, kept)
    yield name, kept.cpu().contiguous()


def _check_finite(name: str, values: Any) -> None:
    import torch

    if not bool(torch.isfinite(values).all()):
        raise EngineError(
            f"Base and adapter together are beyond what the numbers of this base can hold, in {name}. "
            "Serve the adapter on its base, or make the model of a base in bfloat16.",
            code="not_finite",
        )
