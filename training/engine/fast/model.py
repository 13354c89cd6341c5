"""A decoder with LoRA run the fast way: the same numbers as the model's own forward pass, in far fewer passes."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from training.domain.pace import obstacle
from training.domain.recipe import Recipe
from training.engine.fast.attention import Attend
from training.engine.fast.functions import GatedBlock, Head, Kernels, NormedProjection, Projection, Rotate
from training.engine.fast.stacks import Desk, Stack, build, factors_of, lend

ATTENTION = ("q_proj", "k_proj", "v_proj")
GATED = ("gate_proj", "up_proj")


@dataclass
class Layer:
    """One decoder layer: its norms, its four stacks and where its factors are."""

    norms: tuple[Any, Any]
    joint: Stack
    out: Stack
    wide: Stack
    narrow: Stack
    lora: dict[str, Any]
    heads: tuple[int, int, int]  # queries, keys and values, width
    scale: float
    module: Any  # of the model; called where something has to happen before its weights are there


def why_not(model: Any, recipe: Recipe) -> str | None:
    """Why a model with this recipe cannot take the fast path; None when it can."""
    return why_not_shape(model.config, type(model).__name__, recipe)


def why_not_shape(config: Any, name: str, recipe: Recipe) -> str | None:
    """The same before the model is there; `name` is what it is called where its config does not say."""
    architecture = (getattr(config, "architectures", None) or [name])[0]
    slides = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    obstacles = {
        "the model looks through a sliding window": slides,
        "it knows one activation, silu": getattr(config, "hidden_act", "silu") != "silu",
    }
    found = next((told for told, stands in obstacles.items() if stands), None)
    return obstacle(architecture, recipe) or found


class FastDecoder:
    """Replaces the forward pass of a causal model whose linear layers PEFT has wrapped.

    `sharded`: the weights of a layer are only there from the call of its module to the end of the call, and again in
    the backward pass.
    """

    def __init__(self, model: Any, attend: Attend, *, on_gpu: bool, recompute: bool, sharded: bool = False) -> None:
        self.model, self.attend, self.recompute = model, attend, recompute
        self.kernels = Kernels(on_gpu)
        self.desk = Desk(model.device) if sharded else None
        self.layers = [self._layer(layer) for layer in model.model.layers]
        if sharded:
            for layer in model.model.layers:
                _let_through(layer)

    def _layer(self, layer: Any) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        width = attention.head_dim
        lora = {name: getattr(attention, name) for name in (*ATTENTION, "o_proj")}
        lora |= {name: getattr(mlp, name) for name in (*GATED, "down_proj")}
        stacked = build if self.desk is None else partial(lend, desk=self.desk)
        joint = stacked([lora[name] for name in ATTENTION])
        return Layer(
            norms=(layer.input_layernorm, layer.post_attention_layernorm),
            joint=joint,
            out=stacked([lora["o_proj"]]),
            wide=stacked([lora[name] for name in GATED]),
            narrow=stacked([lora["down_proj"]]),
            lora=lora,
            heads=(joint.outputs[0] // width, joint.outputs[1] // width, width),
            scale=attention.scaling,
            module=layer,
        )

    def forward(self, ids: Any, positions: Any, labels: Any, bounds: Any, longest: int, items: Any) -> tuple[Any, Any]:
        """Loss of the trained tokens, summed and divided by `items`, and how many of them were the likeliest.

        `ids`, `positions`, `labels`: (tokens,) of one packed row; `bounds`: (sequences + 1,), int32, where each begins.
        """
        targets = torch.cat((labels[1:], labels.new_full((1,), -100)))
        rows = (targets != -100).nonzero()[:, 0]
        losses, hits = self._read(self.hidden(ids, positions, bounds, longest), rows, targets.index_select(0, rows))
        return losses.sum() / items, hits.sum()

    def answers(
        self, ids: Any, positions: Any, bounds: Any, longest: int, rows: Any, owners: Any, count: int,
        adapter: str | None = "default",
    ) -> tuple[Any, Any]:  # fmt: skip
        """Log-probabilities of `count` answers, and of each token if it was the likeliest.

        `rows`: after which tokens those of the answers come, `owners`: of which answer each is. `adapter` is the one
        that speaks, None the base alone.
        """
        h = self.hidden(ids, positions, bounds, longest, adapter)
        losses, hits = self._read(h, rows, ids.index_select(0, rows + 1))
        sums = torch.zeros(count, dtype=torch.float64, device=losses.device).index_add(0, owners, losses.double())
        return -sums.float(), hits

    def _read(self, h: Any, rows: Any, targets: Any) -> tuple[Any, Any]:
        norm, head = self.model.model.norm, self.model.lm_head.weight
        found: tuple[Any, Any] = Head.apply(h, rows, targets, norm.weight, norm.variance_epsilon, head, self.kernels)
        return found

    def hidden(self, ids: Any, positions: Any, bounds: Any, longest: int, adapter: str | None = "default") -> Any:
        """What the last layer gives, before the final norm: (tokens, hidden)."""
        inner = self.model.model
        h = inner.embed_tokens(ids)
        cos, sin = (part[0].contiguous() for part in inner.rotary_emb(h[None], positions[None]))
        recompute = self.recompute and torch.is_grad_enabled()
        if recompute and not h.requires_grad:
            h.requires_grad_(True)  # or nothing would be recomputed for it
        for layer in self.layers:
            step = partial(self._through, layer, adapter)
            if recompute:
                step = partial(checkpoint, step, use_reentrant=False, preserve_rng_state=False)
            if self.desk is not None:
                step = partial(layer.module, fast=step)
            h = step(h, cos, sin, bounds, longest)
        return h

    def idle(self, device: Any) -> dict[str, Any]:
        """The least that a pass can be made of, for a card that has nothing to do while the others have."""
        two = torch.arange(2, device=device)
        return {
            "ids": two, "positions": two, "labels": two, "items": 1,
            "bounds": torch.tensor([0, 2], dtype=torch.int32, device=device), "longest": 2,
        }  # fmt: skip

    def idle_answers(self, device: Any) -> dict[str, Any]:
        """The same for pairs."""
        one = torch.zeros(1, dtype=torch.long, device=device)
        given = {name: value for name, value in self.idle(device).items() if name not in {"labels", "items"}}
        return given | {"rows": one, "owners": one, "count": 1}

    def _through(self, layer: Layer, adapter: str | None, h: Any, cos: Any, sin: Any, bounds: Any, longest: int) -> Any:
        first, second = layer.norms
        queries, keys, width = layer.heads
        joint = NormedProjection.apply(
            h, first.weight, first.variance_epsilon, layer.joint, self.kernels,
            *factors_of([layer.lora[name] for name in ATTENTION], adapter),
        )  # fmt: skip
        joint = Rotate.apply(joint, cos, sin, queries + keys, self.kernels)
        q, k, v = joint.unflatten(-1, (-1, width)).split((queries, keys, keys), dim=1)
        seen = self.attend(q, k, v, bounds, longest, layer.scale).flatten(1)
        h = Projection.apply(seen, h, layer.out, *factors_of([layer.lora["o_proj"]], adapter))
        wide = factors_of([layer.lora[name] for name in GATED], adapter)
        return GatedBlock.apply(
            h, second.weight, second.variance_epsilon, layer.wide, layer.narrow, self.kernels,
            *wide, *factors_of([layer.lora["down_proj"]], adapter),
        )  # fmt: skip


def _let_through(module: Any) -> None:
    """Called with `fast`, a module does that with what it is given; else it does what it always did."""
    usual = module.forward

    def forward(*args: Any, fast: Any = None, **kwargs: Any) -> Any:
        return usual(*args, **kwargs) if fast is None else fast(*args, **kwargs)

    module.forward = forward
