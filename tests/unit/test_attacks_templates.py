"""Attacks by chat templates, A18 of the reliability list: escapes and bombs, and templates that only look like them.

What the house renders elsewhere is rendered here: in the child of `Renderer`, or in the fork that registers a base.
"""

import json
import re
import resource
import time
from pathlib import Path

import psutil
import pytest
from django.conf import settings as django_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import nodes

from datasets_app.engine import chat_template, template_rules
from datasets_app.engine.chat_template import ChatTemplate, Unshowable
from datasets_app.engine.renderer import MEMORY, MOST_LOST, Renderer
from datasets_app.engine.rendering import ChatTokenizer
from projects.domain.errors import Refused
from training.engine import fingerprint as describing

pytestmark = pytest.mark.slow  # properties, and children under limits: whole seconds together

TALK = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
quickly = settings(max_examples=200, deadline=None, derandomize=True)

ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__ }}",
    "{{ messages['__class__'] }}",
    "{{ messages['__cla' ~ 'ss__'] }}",
    "{{ messages['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ messages|attr('__class__') }}",
    "{{ messages|attr('__cla' ~ 'ss__') }}",
    "{{ messages|map(attribute='__class__')|list }}",
    "{{ messages|map(attribute='__cla' ~ 'ss__')|list }}",
    "{{ messages|map('attr', '__cla' ~ 'ss__')|list }}",
    "{{ messages|groupby('__cla' ~ 'ss__') }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os.system('true') }}",
    "{{ joiner.__init__.__globals__.os.environ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{% for c in [].__class__.__base__.__subclasses__() %}{% if c.__name__ == 'catch_warnings' %}{{ c()._module }}"
    "{% endif %}{% endfor %}",  # llama-cpp-python, CVE-2024-34359
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ __builtins__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now['__glo' ~ 'bals__'] }}",
    "{{ (messages|map('upper')).gi_frame.f_globals }}",
    "{{ '{0.__class__}'.format(messages) }}",
    "{{ ('{0.__cla' ~ 'ss__}').format(messages) }}",
    "{{ ('{a.__cla' ~ 'ss__}').format_map({'a': 1}) }}",
    "{% set f = ('{0.__cla' ~ 'ss__}').format %}{{ f(messages) }}",
    "{{ messages.append({}) }}",
    "{{ messages[0].update({'role': 'x'}) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends 'x' %}",
    "{% if false %}{{ ''.__class__ }}{% endif %}",
]


def make_folder(folder: Path, template: str) -> Path:
    (folder / "chat_template.jinja").write_text(template)
    return folder


def code_of(work) -> str:
    """The code with which it is refused."""
    with pytest.raises(Refused) as refused:
        work()
    assert len(refused.value.message) > 20
    return refused.value.code


@pytest.mark.parametrize("template", ESCAPES)
def test_a18_an_escape_is_forbidden(tmp_path, template):
    folder = make_folder(tmp_path, template)
    assert code_of(lambda: ChatTemplate(folder).render(TALK)) == "template_forbidden"
    assert code_of(lambda: describing._try_template(folder)) == "template_forbidden"


@pytest.mark.parametrize("template", [ESCAPES[0], ESCAPES[3], ESCAPES[24]])
def test_a18_an_escape_in_the_child_is_forbidden_too(tmp_path, template):
    assert code_of(lambda: Renderer(make_folder(tmp_path, template))(TALK)) == "template_forbidden"


def test_a18_an_escape_that_waits_for_its_row_is_forbidden_by_then(tmp_path):
    waiting = "{% for m in messages %}{{ m[m.content] }}{% endfor %}"
    render = Renderer(make_folder(tmp_path, waiting))
    assert render(TALK) == ""
    assert code_of(lambda: render([{"role": "user", "content": "__class__"}])) == "template_forbidden"
    assert render(TALK) == ""
    assert render.lost == 0
    render.close()


# In pure Python, stopped by the clock; in one call of C, stopped by the kernel; by memory; by output; by depth.
BURNS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ 9 ** (9 ** 9) }}",
    "{% set n = 9 %}{{ n ** (n ** n) }}",
    "{{ lipsum(n=10000000) }}",
]
BOMBS = [
    "{{ 'A' * 1000000000 }}",
    "{% set n = 1000000000 %}{{ 'A' * n }}",
    "{{ 'A'.center(2000000000) }}",
    "{{ 'A'|center(2000000000) }}",
    "{{ [0] * 10000000000 }}",
    "{{ messages|tojson(indent=1000000000) }}",
    "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
    "{{ 'x' * 1000100 }}",
    "{{ range(10000000000) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ " + "(" * 50_000 + ")" * 50_000 + " }}",
    "{# " + "x" * 1_100_000 + " #}",
]


def used(kind: int = resource.RUSAGE_CHILDREN) -> float:
    found = resource.getrusage(kind)
    return found.ru_utime + found.ru_stime


@pytest.mark.parametrize("template", BOMBS, ids=lambda text: text[:40])
def test_a18_a_bomb_is_stopped_when_its_base_is_registered(tmp_path, template):
    before = used()
    assert code_of(lambda: describing._try_template(make_folder(tmp_path, template))) == "template_limit"
    assert used() - before < 3


@pytest.mark.slow
@pytest.mark.parametrize("template", BURNS)
def test_a18_what_burns_time_is_stopped_within_two_seconds_of_it(tmp_path, template):
    before = used()
    assert code_of(lambda: describing._try_template(make_folder(tmp_path, template))) == "template_limit"
    assert used() - before < 2.6
    before = used()
    assert code_of(lambda: Renderer(make_folder(tmp_path, template))(TALK)) == "template_limit"
    assert used() - before < 2.9  # with the start of its process


def test_a18_the_child_may_use_no_more_than_its_memory(tmp_path):
    render = Renderer(make_folder(tmp_path, "{{ messages[0].content }}"))
    child = psutil.Process(render._process.pid)
    assert child.rlimit(psutil.RLIMIT_AS)[0] == MEMORY == 512 * 1024 * 1024
    assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert child.memory_info().rss < MEMORY / 4
    render.close()


def test_a18_a_row_that_takes_too_much_is_refused_and_the_next_is_rendered(tmp_path):
    """The bomb is in the data: a template that does what the row says."""
    render = Renderer(make_folder(tmp_path, "{{ messages[0].content * (messages[1].content|int) }}"))

    def ask(times: str) -> str:
        return render([{"role": "user", "content": "ab"}, {"role": "assistant", "content": times}])

    assert ask("2") == "abab"
    for times in ("2000000000", "1000000", "900000000000"):
        assert code_of(lambda times=times: ask(times)) == "template_limit"
        assert ask("2") == "abab"
    assert render.lost == 3
    render.close()


def test_a18_a_child_that_says_nothing_in_time_is_ended_and_another_one_answers(tmp_path):
    render = Renderer(make_folder(tmp_path, "{{ 9 ** (9 ** (messages[0].content|int)) }}"), seconds=0.4)
    first = render._process.pid
    assert code_of(lambda: render([{"role": "user", "content": "9"}])) == "template_limit"
    assert not psutil.pid_exists(first)
    render.seconds = 30
    assert render([{"role": "user", "content": "0"}]) == "9"
    render.close()


def test_a18_a_template_that_takes_too_much_again_and_again_ends_the_work(tmp_path):
    """Else a million rows would take two seconds each."""
    render = Renderer(make_folder(tmp_path, "{{ 'x' * 1000100 }}"))
    for _ in range(MOST_LOST):
        with pytest.raises(Unshowable):
            render(TALK)
    with pytest.raises(Refused) as refused:
        render(TALK)
    assert not isinstance(refused.value, Unshowable)
    assert refused.value.code == "template_limit"
    render.close()


@pytest.mark.slow
def test_a18_no_honest_dataset_is_too_long_for_the_limit_of_a_row(tmp_path, monkeypatch):
    """Each row has its own two seconds: here a child that has used more than that goes on."""
    spin = "{% for n in range(60000) %}{% endfor %}{{ messages[0].content }}"
    render = Renderer(make_folder(tmp_path, spin))
    child, rows = psutil.Process(render._process.pid), 0
    until = time.monotonic() + 60
    while sum(child.cpu_times()[:2]) < 2.3 and time.monotonic() < until:
        assert render(TALK) == "Hello"
        rows += 1
    assert rows > 20
    assert render.lost == 0
    render.close()


def test_a18_a_long_row_may_be_written_as_long_as_it_is(tmp_path):
    text = "word " * 600_000
    render = Renderer(make_folder(tmp_path, "<s>{{ messages[0].content }}</s>"))
    assert len(render([{"role": "user", "content": text}])) == len(text) + 7
    render.close()


# Honest templates, with everything that published ones use.
HONEST = sorted((Path(__file__).parents[1] / "factories" / "templates").glob("*.jinja"))
TOOL_TALK = [
    TALK[0],
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": "__class__"}}}]},
    {"role": "tool", "content": "What is ''.__class__?"},
]


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_a18_honest_templates_are_taken_whatever_the_data_speak_of(tmp_path, path):
    folder = make_folder(tmp_path, path.read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    assert describing._try_template(folder) in {"plain", "marked"}
    template = ChatTemplate(folder)
    assert "Hello" in template.render(TALK)
    if path.stem != "macros_and_filters":
        assert "__class__" in template.render(TOOL_TALK, [{"type": "function", "function": {"name": "f", "items": {}}}])
    asked = template.render([{"role": "user", "content": "What do __globals__ and {0.__class__} mean?"}], ask=True)
    assert "{0.__class__}" in asked


PIECES = st.sampled_from(
    ["{{ ", " }}", "{% if ", " %}", "{% endif %}", "messages", ".", "[", "]", "(", ")", "'", "__class__", "|", "attr",
     "~", "for x in ", "{% for x in messages %}", "{% endfor %}", "0", "*", "content", "{#", "#}", " is ", "defined",
     "namespace", "=", "{% set ", "lipsum", "range", "tojson", "map", "\n", "é", "_", "mro", "format", "self"]
)  # fmt: skip


@quickly
@given(pieces=st.lists(PIECES, max_size=14))
def test_a18_any_text_is_a_template_or_refused_with_a_code(pieces, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    make_folder(folder, "".join(pieces))
    try:
        rendered = ChatTemplate(folder).render(TALK) if pieces and "".join(pieces) else ""
        assert isinstance(rendered, str)
        assert "<class" not in rendered
    except Refused as refused:
        assert refused.code in {"template", "template_limit", "template_forbidden", "no_template"}


def test_a18_names_that_lead_inside_are_known_in_every_kind_of_node():
    def name(node) -> str:
        return template_rules._inside(node)

    assert name(nodes.Getattr(nodes.Name("x", "load"), "_hidden", "load")) == "_hidden"
    assert name(nodes.Const("a.__globals__.b")) == "__globals__"
    assert name(nodes.Const("<__media__>")) == ""
    assert name(nodes.Const(7)) == ""


def test_a18_no_engine_renders_a_strangers_template_in_its_own_process():
    """ChatTokenizer takes a renderer wherever a base model is read; only the renderer itself compiles templates."""
    found = []
    for app in ("datasets_app", "training", "evaluation", "deployments"):
        for path in (django_settings.BASE_DIR / app).rglob("*.py"):
            text = path.read_text()
            if re.search(r"\bChatTokenizer\([^,()]*(\([^()]*\))?[^,()]*\)", re.sub(r"class \w+\(.*\):", "", text)):
                found.append(path.name)
            if re.search(r"\bChatTemplate\(", text):
                found.append(path.name)
    # rendering.py holds the door itself; the other two compile where limits hold: in the child, and in a fork.
    assert sorted(found) == ["fingerprint.py", "renderer.py", "rendering.py"]


@pytest.mark.parametrize(
    "found", [7, {"default": "x"}, [{"name": "default", "template": ["x"]}]], ids=["number", "object", "list in list"]
)
def test_a_template_that_is_no_text_is_refused(tmp_path, found):
    config = {"chat_template": found}
    assert code_of(lambda: chat_template.template_text(tmp_path, config)) == "template"


@pytest.mark.parametrize("found", [[], [7], [{"a": 1}], [{"name": "tool_use", "template": "x"}], None, ""])
def test_a_folder_may_have_no_template(tmp_path, found):
    assert chat_template.template_text(tmp_path, {"chat_template": found}) == ""


def test_the_tokenizer_renders_through_whatever_it_is_given(tmp_path):
    from tests.unit.test_training_rendering import PLAIN, make_chat

    folder = make_chat(tmp_path, PLAIN) and tmp_path
    render = Renderer(folder)
    chat = ChatTokenizer(folder, render)
    assert chat.render(TALK) == "<|user|>Hello<|end|><|assistant|>Hi<|end|>"
    assert render.rendered == 1
    render.close()
