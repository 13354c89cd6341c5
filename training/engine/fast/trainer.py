"""The fast decoder inside TRL's trainer: same data, same loss, same log; only the forward pass is another."""

from typing import Any

from training.domain.pace import Card, Pace, Widths
from training.engine.fast.attention import by_sequence, flash, varlen

ATTENTION = {"varlen": varlen, "flash": flash, "sdpa": by_sequence}


def card(kind: str) -> Card:
    """The card of this process and the best attention it has."""
    import torch

    if kind != "cuda":
        return Card(kind)
    return Card(kind, torch.cuda.get_device_properties(0).total_memory, _best_attention())


def _best_attention() -> str:
    from importlib.util import find_spec

    if find_spec("torch.nn.attention.varlen") is not None:
        return "varlen"
    return "flash" if find_spec("flash_attn") is not None else "sdpa"


def widths(config: Any, parameters: int) -> Widths:
    """The sizes of a decoder from its config; attributes that a family lacks count as none."""
    heads = getattr(config, "num_attention_heads", 1)
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Widths(
        parameters=parameters,
        hidden=config.hidden_size,
        intermediate=getattr(config, "intermediate_size", 4 * config.hidden_size),
        layers=config.num_hidden_layers,
        queries=heads * width,
        keys=(getattr(config, "num_key_value_heads", None) or heads) * width,
        vocab=config.vocab_size,
    )


class FastLoss:
    """Mixed into an SFT trainer whose batches are one row without padding."""

    decoder: Any = None

    def take_over(self, pace: Pace, kind: str) -> None:
        """Give the model the fast forward pass. Asked without `fast`, it answers as ever."""
        from training.engine.fast.model import FastDecoder

        inner = self.model.base_model.model  # type: ignore[attr-defined]
        self.decoder = FastDecoder(inner, ATTENTION[pace.attention], on_gpu=kind == "cuda", recompute=pace.recompute)
        usual, decoder = inner.forward, self.decoder

        def forward(*args: Any, fast: dict[str, Any] | None = None, **kwargs: Any) -> Any:
            return usual(*args, **kwargs) if fast is None else decoder.forward(**fast)

        inner.forward = forward

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if self.decoder is None or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[misc]
        ids, labels = inputs["input_ids"][0], inputs["labels"][0]
        trained = (labels != -100).sum()
        items = trained if num_items_in_batch is None else num_items_in_batch
        loss, hits = model(
            fast={
                "ids": ids,
                "positions": inputs["position_ids"][0],
                "labels": labels,
                "bounds": inputs["cu_seq_lens_q"],
                "longest": int(inputs["max_length_q"]),
                "items": items,
            }
        )
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # type: ignore[attr-defined]
        self._note(hits / trained.clamp(min=1), ids.shape[0])
        return loss

    def _note(self, accuracy: Any, tokens: int) -> None:
        """As TRL keeps its figures, but left on the card until a log asks for them: each look would stop it."""
        self._metrics["train"]["mean_token_accuracy"].append(accuracy.detach())  # type: ignore[attr-defined]
        self._total_train_tokens += tokens * self.accelerator.num_processes  # type: ignore[attr-defined]
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]  # type: ignore[attr-defined]

    def log(self, logs: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        noted = self._metrics["train"]  # type: ignore[attr-defined]
        for name, values in noted.items():
            noted[name] = [float(value) for value in values]
        super().log(logs, *args, **kwargs)  # type: ignore[misc]
