"""Rows to tokens: the same tokens that transformers would make, trained where the assistant speaks."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from datasets_app.engine.chat_template import Unshowable, split_marks
from datasets_app.engine.rendering import ChatTokenizer, common_prefix
from projects.domain.errors import Refused

MARKED = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>{% generation %}{{ m.content }}<|end|>"
    "{% endgeneration %}{% else %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PLAIN = MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "")


def make_chat(tmp_path, template=MARKED) -> ChatTokenizer:
    """A byte-level tokenizer without merges: one token a byte, and one for each special word."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={char: place for place, char in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"])
    raw.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|end|>"}}))
    if template:
        (tmp_path / "chat_template.jinja").write_text(template)
    return ChatTokenizer(tmp_path)


def say(*texts: str, **extra) -> list[dict]:
    """Turns of user and assistant, one after the other."""
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": text} | extra for n, text in enumerate(texts)]


def trained(chat: ChatTokenizer, tokens) -> str:
    ids = [token for token, flag in zip(tokens.ids, tokens.trained, strict=True) if flag]
    return chat.tokenizer.decode(ids, skip_special_tokens=False)


def test_only_the_answer_and_its_end_are_trained(tmp_path):
    chat = make_chat(tmp_path)
    assert trained(chat, chat.chat(say("question", "answer"))) == "answer<|end|>"


def test_letters_of_several_bytes_are_trained_whole(tmp_path):
    chat = make_chat(tmp_path)
    tokens = chat.chat(say("Frage?", "größer 🎻", "noch?", "日本"))
    assert trained(chat, tokens) == "größer 🎻<|end|>日本<|end|>"


def test_without_marks_the_last_answer_is_trained_and_that_is_said(tmp_path):
    chat = make_chat(tmp_path, PLAIN)
    tokens = chat.chat(say("a", "first", "b", "second"))
    assert trained(chat, tokens) == "second<|end|>"
    assert tokens.last_turn_only


def test_turns_of_weight_zero_are_context_only(tmp_path):
    chat = make_chat(tmp_path)
    turns = say("a", "first", "b", "second")
    turns[1]["weight"] = 0
    assert trained(chat, chat.chat(turns)) == "second<|end|>"
    turns[3]["weight"] = 0
    assert trained(chat, chat.chat(turns)) == ""


def test_marks_inside_the_data_do_not_move_what_is_trained(tmp_path):
    chat = make_chat(tmp_path)
    tokens = chat.chat(say("a \U000f1e55 b", "first \U000f1e56", "c", "second"))
    assert trained(chat, tokens) == "second<|end|>"
    assert tokens.last_turn_only


def test_a_conversation_that_ends_with_the_user_teaches_nothing(tmp_path):
    with pytest.raises(Unshowable) as refused:
        make_chat(tmp_path).chat(say("a", "b", "c"))
    assert refused.value.code == "no_answer"


def test_a_pair_shares_its_prompt(tmp_path):
    chat = make_chat(tmp_path)
    found = chat.pair(say("q"), [{"role": "assistant", "content": "yes"}], [{"role": "assistant", "content": "yet"}])
    assert chat.tokenizer.decode(found.prompt, skip_special_tokens=False) == "<|user|>q<|end|><|assistant|>"
    assert chat.tokenizer.decode(found.chosen, skip_special_tokens=False) == "yes<|end|>"
    assert chat.tokenizer.decode(found.rejected, skip_special_tokens=False) == "yet<|end|>"


def test_plain_text_is_trained_whole_and_ended_once(tmp_path):
    chat = make_chat(tmp_path)
    for text in ("words", "words<|end|>"):
        tokens = chat.text(text)
        assert trained(chat, tokens) == "words<|end|>"


def test_a_template_may_refuse_a_row_in_its_own_words(tmp_path):
    chat = make_chat(tmp_path, "{{ raise_exception('Roles must alternate') }}")
    with pytest.raises(Unshowable, match="Roles must alternate"):
        chat.chat(say("a", "b"))


def test_a_template_that_does_not_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets_app.engine.chat_template.RENDER_SECONDS", 0.1)
    chat = make_chat(tmp_path, "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    with pytest.raises(Unshowable, match=r"longer than 0.1 seconds"):
        chat.render(say("a"))


@pytest.mark.parametrize(
    "escape", ["{{ messages.__class__.__mro__[1].__subclasses__() }}", "{{ ''.format.__globals__ }}"]
)
def test_a_template_cannot_leave_its_sandbox(tmp_path, escape):
    with pytest.raises(Refused) as refused:
        make_chat(tmp_path, escape).render(say("a"))
    assert refused.value.code == "template_forbidden"


def test_the_template_may_live_in_the_tokenizers_config(tmp_path):
    make_chat(tmp_path, "")
    config = {
        "eos_token": "<|end|>",
        "chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": PLAIN}],
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert ChatTokenizer(tmp_path).render(say("a")) == "<|user|>a<|end|>"


def test_chats_need_a_template_and_a_template_needs_to_be_valid(tmp_path):
    with pytest.raises(Refused) as refused:
        make_chat(tmp_path, "").chat(say("a", "b"))
    assert refused.value.code == "no_template"
    with pytest.raises(Refused) as refused:
        make_chat(tmp_path, "{% for %}")
    assert refused.value.code == "template"


def test_marks_are_cut_out_and_their_places_kept():
    assert split_marks("ab\U000f1e55cd\U000f1e56ef\U000f1e55\U000f1e56") == ("abcdef", [(2, 4), (6, 6)])
    assert split_marks("plain") == ("plain", [])
    assert common_prefix([1, 2, 3], [1, 2, 4]) == 2
    assert common_prefix([], [1]) == 0
