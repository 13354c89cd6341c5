"""Templates and scripts keep the house rules: they compile, fit a strict CSP, stay short and use known icons."""

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from django.template.loader import get_template

from projects.domain import looks

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
SOURCES = {path.relative_to(TEMPLATES).as_posix(): path.read_text() for path in sorted(TEMPLATES.rglob("*.html"))}
COMPONENTS = [name for name in SOURCES if name.startswith("components/")]
FRAGMENTS = [name for name in SOURCES if Path(name).name.startswith("_")]
SCRIPTS = {path.name: path.read_text() for path in sorted((ROOT / "static/js").glob("*.js"))}
ICONS = (ROOT / "static/icons.txt").read_text().split()

COMMENT = re.compile(r"\{#.*?#\}|\{% comment .*?%\}.*?\{% endcomment %\}", re.DOTALL)
FORBIDDEN = {
    "an inline script": re.compile(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))", re.IGNORECASE),
    "an inline style": re.compile(r"<style|\sstyle\s*=", re.IGNORECASE),
    "an inline handler": re.compile(r"<[^>]*\s(?:on[a-z]+|hx-on[\w:-]*)\s*=", re.IGNORECASE),
    "an address that is a script": re.compile(r"javascript:", re.IGNORECASE),
    "something from another host": re.compile(r"(?:src|href)=\"(?:https?:)?//", re.IGNORECASE),
    "htmx code to be evaluated": re.compile(r"hx-vals=.js:|hx-headers=.js:|hx-trigger=\"[^\"]*\[", re.IGNORECASE),
}


def markup(name: str) -> str:
    """The source without comments."""
    return COMMENT.sub("", SOURCES[name])


def offenders(holds: Callable[[str], object]) -> list[str]:
    """Names of templates for which a rule does not hold."""
    return [name for name in SOURCES if not holds(name)]


def test_templates_compile():
    for name in SOURCES:
        assert get_template(name).template.nodelist is not None, name


@pytest.mark.parametrize("fault", FORBIDDEN)
def test_templates_hold_under_a_strict_csp(fault):
    found = {name: match.group(0) for name in SOURCES if (match := FORBIDDEN[fault].search(markup(name)))}
    assert found == {}


def test_templates_stay_short():
    assert offenders(lambda name: len(SOURCES[name].splitlines()) <= 130) == []
    assert median(len(source.splitlines()) for source in SOURCES.values()) <= 40


def test_comments_end_on_their_line():
    """Django shows a {# comment #} that runs over two lines as text."""

    def holds(name: str) -> bool:
        return all("#}" in line.partition("{#")[2] for line in SOURCES[name].splitlines() if "{#" in line)

    assert offenders(holds) == []


def test_what_a_template_includes_exists():
    wanted = {name: re.findall(r"\{% (?:include|extends) \"([^\"]+)\"", source) for name, source in SOURCES.items()}
    assert {name: other for name, others in wanted.items() for other in others if other not in SOURCES} == {}


def test_icons_are_in_the_sprite():
    wanted = {}
    for name in SOURCES:
        named = re.findall(r"\{% icon \"([\w-]+)\"|\b(?:icon|glyph)=\"([\w-]+)\"", markup(name))
        wanted[name] = {first or second for first, second in named} - {"none"} - set(ICONS)
    assert {name: icons for name, icons in wanted.items() if icons} == {}, "add these to static/icons.txt"


def test_the_icons_of_states_are_in_the_sprite():
    wanted = {look.icon for look in looks.LOOKS.values()} | set(looks.TONE_ICONS.values()) | {"point", "info-circle"}
    assert wanted <= set(ICONS)


def test_the_list_of_icons_is_sorted_and_without_doubles():
    assert sorted(set(ICONS)) == ICONS


def test_forms_that_post_carry_the_token():
    def holds(name: str) -> bool:
        forms = re.findall(r"<form\b.*?</form>", markup(name), re.DOTALL)
        posts = [form for form in forms if re.search(r"method=\"post\"", form.partition(">")[0], re.IGNORECASE)]
        return all("csrf_token" in form or "csrf_field" in form for form in posts)

    assert offenders(holds) == []


def test_buttons_say_what_they_do_and_images_what_they_show():
    assert offenders(lambda name: all("type=" in tag for tag in re.findall(r"<button\b[^>]*>", markup(name)))) == []
    assert offenders(lambda name: all("alt=" in tag for tag in re.findall(r"<img\b[^>]*>", markup(name)))) == []


def test_fragments_are_whole_by_themselves():
    assert [name for name in FRAGMENTS if "{% extends" in SOURCES[name]] == []


def test_components_say_what_they_are():
    assert [name for name in COMPONENTS if not COMMENT.search(SOURCES[name])] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_text_not_markup(name):
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", SCRIPTS[name])
