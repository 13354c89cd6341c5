"""Model folders of known shapes with random weights, made on the spot: speed does not depend on what a model knows."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# One matrix product of 8192³ in bfloat16 reached this on the card where the project's figures come from.
PEAK_FLOPS = 792e12


# Turns one after another; an answer has an end.
TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }} {% if message['role'] == 'assistant' %}</s> {% endif %}"
    "{% endfor %}"
)


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes, as its config.json says them."""

    kind: str
    config: dict[str, Any]

    def counted(self) -> int:
        """Parameters that a token passes through: all but an input embedding that is not the head as well."""
        c = self.config
        width = c["hidden_size"] // c["num_attention_heads"]
        keys = c["num_key_value_heads"] * width
        attention = c["hidden_size"] * (2 * c["hidden_size"] + 2 * keys)
        gated = 3 * c["hidden_size"] * c["intermediate_size"]
        return c["num_hidden_layers"] * (attention + gated) + c["vocab_size"] * c["hidden_size"]

    def ceiling(self, operations: int = 4) -> float:
        """Tokens a second at so many operations for each parameter and token, with nothing else to do."""
        return PEAK_FLOPS / (operations * self.counted())


SHAPES = {
    "qwen1.5b": Shape(
        "Qwen2",
        {
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "vocab_size": 151_936,
            "tie_word_embeddings": True,
        },
    ),
    "llama8b": Shape(
        "Llama",
        {
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 128_256,
            "tie_word_embeddings": False,
        },
    ),
    "mistral7b": Shape(
        "Mistral",
        {
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 32_000,
            "sliding_window": None,
            "tie_word_embeddings": False,
        },
    ),
    "tiny": Shape(
        "Llama",
        {
            "hidden_size": 64,
            "intermediate_size": 160,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 512,
            "tie_word_embeddings": False,
        },
    ),
}


def make(shape: Shape, folder: Path) -> Path:
    """Write the model: config, weights in bfloat16, and a tokenizer whose words are the numbers of its tokens."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True)
    config = getattr(transformers, f"{shape.kind}Config")(
        **shape.config, max_position_embeddings=8192, eos_token_id=0, bos_token_id=None, pad_token_id=0
    )
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = getattr(transformers, f"{shape.kind}ForCausalLM")(config)
    torch.set_default_dtype(before)
    model.save_pretrained(folder, max_shard_size="4GB")
    vocab = {"</s>": 0} | {f"t{number}": number for number in range(1, shape.config["vocab_size"])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "</s>"}
    settings["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    del model
    if device == "cuda":
        torch.cuda.empty_cache()
    return folder
