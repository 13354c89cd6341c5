"""Templates and scripts keep the house rules: they compile, fit a strict CSP, stay short and use known icons."""

import re
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
EACH = pytest.mark.parametrize("name", SOURCES)


def markup(name: str) -> str:
    """The source without comments."""
    return COMMENT.sub("", SOURCES[name])


@EACH
def test_a_template_compiles(name):
    assert get_template(name).template.nodelist is not None


@EACH
@pytest.mark.parametrize("fault", FORBIDDEN)
def test_a_template_holds_under_a_strict_csp(name, fault):
    found = FORBIDDEN[fault].search(markup(name))
    assert not found, f"{name} has {fault}: {found.group(0)}"


@EACH
def test_a_template_stays_short(name):
    assert len(SOURCES[name].splitlines()) <= 130


def test_templates_are_short_as_a_rule():
    assert median(len(source.splitlines()) for source in SOURCES.values()) <= 40


@EACH
def test_comments_end_on_their_line(name):
    """Django shows a {# comment #} that runs over two lines as text."""
    assert all("#}" in line.partition("{#")[2] for line in SOURCES[name].splitlines() if "{#" in line)


@EACH
def test_what_a_template_includes_exists(name):
    wanted = re.findall(r"\{% (?:include|extends) \"([^\"]+)\"", SOURCES[name])
    assert [other for other in wanted if other not in SOURCES] == []


@EACH
def test_icons_are_in_the_sprite(name):
    named = re.findall(r"\{% icon \"([\w-]+)\"|\b(?:icon|glyph)=\"([\w-]+)\"", markup(name))
    wanted = {first or second for first, second in named} - {"none"}
    assert wanted <= set(ICONS), f"add to static/icons.txt: {wanted - set(ICONS)}"


def test_the_icons_of_states_are_in_the_sprite():
    wanted = {look.icon for look in looks.LOOKS.values()} | set(looks.TONE_ICONS.values()) | {"point", "info-circle"}
    assert wanted <= set(ICONS)


def test_the_list_of_icons_is_sorted_and_without_doubles():
    assert sorted(set(ICONS)) == ICONS


@EACH
def test_a_form_that_posts_carries_the_token(name):
    for form in re.findall(r"<form\b.*?</form>", markup(name), re.DOTALL):
        if re.search(r"method=\"post\"", form.partition(">")[0], re.IGNORECASE):
            assert "csrf_token" in form or "csrf_field" in form


@EACH
def test_buttons_say_what_they_do_and_images_what_they_show(name):
    source = markup(name)
    assert all("type=" in tag for tag in re.findall(r"<button\b[^>]*>", source))
    assert all("alt=" in tag for tag in re.findall(r"<img\b[^>]*>", source))


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_is_whole_by_itself(name):
    assert "{% extends" not in SOURCES[name]


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_says_what_it_is(name):
    assert COMMENT.search(SOURCES[name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_text_not_markup(name):
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", SCRIPTS[name])
