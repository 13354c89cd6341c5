"""Answers written token by token are those of `generate`: for every family that is known, with padding and stops."""

import pytest

from training.domain.pace import PLAYED
from training.engine import answering, samples

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
]
SIZES = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 96, "eos_token_id": None, "pad_token_id": 0, "bos_token_id": None,
}  # fmt: skip


def make(name, **more):
    import torch
    import transformers

    torch.manual_seed(3)
    kind = name.removesuffix("ForCausalLM")
    plain = {"sliding_window": None} if kind == "Mistral" else {}
    model = getattr(transformers, name)(getattr(transformers, f"{kind}Config")(**SIZES | plain | more))
    for weights in model.parameters():
        weights.data.mul_(4)  # else all answers are one token again and again
    return model.eval()


def prompts(rows=3, width=23):
    import torch

    ids, mask = torch.randint(1, 96, (rows, width)), torch.ones((rows, width), dtype=torch.long)
    for row, gap in enumerate((9, 0, 4)[:rows]):
        ids[row, :gap] = mask[row, :gap] = 0
    return ids, mask


def cut(rows, stops):
    """As far as an answer goes."""
    ends = [next((at for at, token in enumerate(row) if token in stops), len(row)) for row in rows]
    return [row[:end] for row, end in zip(rows, ends, strict=True)]


def both(model, ids, mask, stops, enough=lambda: False):
    import torch

    with torch.no_grad():
        mine = answering.greedy(model, ids, mask, most=samples.NEW_TOKENS, stops=stops, enough=enough)
        theirs = samples._generated(model, ids, mask, stops, enough)
    return mine.tolist(), theirs.tolist()


@pytest.mark.parametrize("name", sorted(PLAYED))
def test_every_known_family_answers_as_with_the_library(name):
    model = make(name)
    ids, mask = prompts()
    assert answering.fits(model)
    mine, theirs = both(model, ids, mask, [])
    assert mine == theirs and all(len(row) == samples.NEW_TOKENS for row in mine)
    assert len({token for row in mine for token in row}) > 10, "a model that says one thing proves nothing"

    stops = [mine[0][10], mine[1][20]]
    ended, expected = both(model, ids, mask, stops)
    assert cut(ended, stops) == cut(expected, stops)


def test_with_lora_and_when_all_have_ended():
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(make("Qwen2ForCausalLM"), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.2)
    model.eval()
    ids, mask = prompts()
    assert answering.fits(model)
    mine, theirs = both(model, ids, mask, [])
    assert mine == theirs
    with model.disable_adapter():
        assert both(model, ids, mask, [])[0] != mine

    stops = sorted({row[3] for row in mine})
    short, _ = both(model, ids, mask, stops)
    assert cut(short, stops) == cut(mine, stops) and len(short[0]) == answering.LOOKED_AT


def test_it_ends_when_somebody_waits():
    model, (ids, mask) = make("LlamaForCausalLM"), prompts()
    calls = iter([False, False, True])
    assert len(answering.greedy(model, ids, mask, most=64, stops=[], enough=lambda: next(calls))[0]) == 3


def test_what_sees_through_a_window_or_is_not_known_is_for_the_library():
    assert not answering.fits(make("MistralForCausalLM", sliding_window=8))
    windows = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    assert not answering.fits(make("Qwen2ForCausalLM", **windows))
    assert not answering.fits(make("OlmoForCausalLM"))
