"""The fast forward pass against the model's own, and its kernels' slow twins against autograd. CPU, 32 bit."""

import pytest

torch = pytest.importorskip("torch")
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from training.engine.fast import reference
from training.engine.fast.attention import by_sequence
from training.engine.fast.model import FastDecoder, why_not

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 128,
}
LENGTHS = [7, 12, 5]
FAMILIES = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}


def model(family: str, rank: int = 3):
    torch.manual_seed(0)
    config, kind = FAMILIES[family]
    made = kind(config(**SIZES))
    for parameter in made.parameters():
        if parameter.dim() == 1:  # norms and biases that are all one or zero would hide a mistake
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    wrapped = get_peft_model(made, LoraConfig(r=rank, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1)
    return wrapped


def batch() -> dict:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 100, (sum(LENGTHS),), generator=generator)
    positions = torch.cat([torch.arange(length) for length in LENGTHS])
    labels = ids.clone()
    labels[positions == 0] = -100
    labels[3] = -100  # a token of the prompt
    bounds = torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0)], dtype=torch.int32)
    return {
        "ids": ids,
        "positions": positions,
        "labels": labels,
        "bounds": bounds,
        "longest": max(LENGTHS),
        "items": (labels != -100).sum(),
    }


def own_loss(wrapped, given: dict):
    """Each sequence through the model's own forward pass, alone."""
    total = 0
    for start, end in zip(given["bounds"], given["bounds"][1:], strict=False):
        logits = wrapped(input_ids=given["ids"][None, start:end]).logits[0]
        total = total + torch.nn.functional.cross_entropy(
            logits[:-1], given["labels"][start + 1 : end], ignore_index=-100, reduction="sum"
        )
    return total / given["items"]


def gradients(wrapped) -> dict:
    found = {name: one.grad.clone() for name, one in wrapped.named_parameters() if one.grad is not None}
    wrapped.zero_grad()
    return found


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_every_gradient_equal_the_models_own(family, recompute):
    wrapped, given = model(family), batch()
    expected = own_loss(wrapped, given)
    expected.backward()
    wanted = gradients(wrapped)

    decoder = FastDecoder(wrapped.base_model.model, by_sequence, on_gpu=False, recompute=recompute)
    loss, hits = decoder.forward(**given)
    loss.backward()
    found = gradients(wrapped)

    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert 0 <= hits <= given["items"]
    assert found.keys() == wanted.keys()
    assert len(wanted) == 2 * 7 * SIZES["num_hidden_layers"]
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=2e-4, atol=2e-7)


def test_no_sequence_sees_another():
    """Logits of the second sequence, bit for bit, whatever the first one says."""
    wrapped, given = model("llama"), batch()
    decoder = FastDecoder(wrapped.base_model.model, by_sequence, on_gpu=False, recompute=False)
    places = {name: given[name] for name in ("positions", "bounds", "longest")}
    other = given["ids"].clone()
    other[: LENGTHS[0]] = (other[: LENGTHS[0]] + 1) % 100

    with torch.no_grad():
        first, second = (decoder.hidden(ids, **places) for ids in (given["ids"], other))
        logits = [decoder.model.lm_head(decoder.model.model.norm(h)) for h in (first, second)]

    assert torch.equal(logits[0][LENGTHS[0] :], logits[1][LENGTHS[0] :])
    assert not torch.allclose(logits[0][: LENGTHS[0]], logits[1][: LENGTHS[0]])


def test_the_layers_still_answer_for_themselves_after_their_weights_have_moved():
    wrapped, ids = model("qwen2"), batch()["ids"][None, :7]
    before = wrapped(input_ids=ids).logits
    FastDecoder(wrapped.base_model.model, by_sequence, on_gpu=False, recompute=False)

    torch.testing.assert_close(wrapped(input_ids=ids).logits, before)


def test_twins_of_the_kernels_are_the_gradients_that_autograd_finds():
    torch.manual_seed(3)
    x, weight = torch.randn(6, 16, requires_grad=True), torch.randn(16)
    out, slope = torch.zeros(6, 20), torch.randn(6, 20)
    rstd = reference.norm(x.detach(), weight, 1e-6, out)
    plain = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight
    plain.backward(slope[:, :16])
    torch.testing.assert_close(out[:, :16], plain.detach())
    torch.testing.assert_close(reference.norm_backward(slope, x.detach(), weight, rstd, None), x.grad)
    torch.testing.assert_close(
        reference.norm_backward(slope, x.detach(), weight, rstd, x.detach()), x.grad + x.detach()
    )

    pair, again = torch.randn(6, 16, requires_grad=True), torch.zeros(6, 12)
    product = torch.nn.functional.silu(pair[:, :8]) * pair[:, 8:]
    product.backward(slope[:, :8])
    torch.testing.assert_close(reference.gate_backward(slope, pair.detach(), again), pair.grad)
    torch.testing.assert_close(again[:, :8], product.detach())

    logits, targets = torch.randn(6, 11, requires_grad=True), torch.randint(0, 11, (6,))
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    loss.backward()
    made = logits.detach().clone()
    losses, hits = reference.cross_entropy(made, targets, 1.0)
    torch.testing.assert_close(losses.sum(), loss.detach())
    torch.testing.assert_close(made, logits.grad)
    assert hits.sum() == (logits.argmax(-1) == targets).sum()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"dropout": 0.1}, "dropout"),
        ({"four_bit": True}, "4-bit"),
        ({"target_modules": "q_proj"}, "all linear layers or none"),
    ],
)
def test_recipes_that_cannot_take_it_are_told_why(values, said):
    from training.domain.recipe import Recipe

    assert said in why_not(model("llama").base_model.model, Recipe.read(values))
    assert why_not(model("llama").base_model.model, Recipe()) is None
