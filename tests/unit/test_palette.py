"""The colours of charts and pages keep their distance: from the ground, and from each other for every eye."""

import re
from pathlib import Path

import pytest

from projects import charting
from projects.domain.looks import TONE_ICONS
from tests.unit.colour import DEUTERANOPIA, NORMAL, PROTANOPIA, closest, contrast

CSS = Path(__file__).resolve().parents[2] / "static/css/tokens.css"
TOKENS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--lt-([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS.read_text())
}
THEMES = pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
CHART_COLOURS = sorted({*charting.PALETTE, *charting.TONES.values(), charting.BASE, charting.LIVE})


@THEMES
@pytest.mark.parametrize("colour", CHART_COLOURS)
def test_a_line_or_bar_stands_out_three_to_one_from_its_ground(colour, theme):
    assert contrast(colour, TOKENS["surface"][theme]) >= 3


@pytest.mark.parametrize("view", [NORMAL, DEUTERANOPIA, PROTANOPIA], ids=["normal", "deuteranopia", "protanopia"])
def test_the_eight_stay_apart_for_every_eye(view):
    distance, one, other = closest(charting.PALETTE, view)
    assert distance >= 8.5, f"{one} and {other} look alike"  # 2 is just noticeable side by side


@pytest.mark.parametrize("view", [NORMAL, DEUTERANOPIA, PROTANOPIA], ids=["normal", "deuteranopia", "protanopia"])
def test_the_first_four_are_the_easiest_to_tell_apart(view):
    assert closest(charting.PALETTE[:4], view)[0] >= 13


def test_eight_series_have_eight_colours_and_markers():
    styles = [charting.series_style(index) for index in range(8)]
    assert len({style["line"]["color"] for style in styles}) == 8
    assert len({style["marker"]["symbol"] for style in styles}) == 8


@THEMES
@pytest.mark.parametrize("tone", sorted(TONE_ICONS))
def test_the_word_of_a_state_is_readable_on_its_tone_and_on_a_card(tone, theme):
    word = TOKENS[tone][theme]
    assert contrast(word, TOKENS[f"{tone}-bg"][theme]) >= 4.5
    assert contrast(word, TOKENS["surface"][theme]) >= 4.5


@THEMES
@pytest.mark.parametrize("ground", ["bg", "surface", "sunken", "raised", "hover", "selected"])
@pytest.mark.parametrize("ink", ["text", "strong", "muted", "link"])
def test_text_is_readable_on_every_ground(ink, ground, theme):
    assert contrast(TOKENS[ink][theme], TOKENS[ground][theme]) >= 4.5


@THEMES
@pytest.mark.parametrize("tone", sorted(TONE_ICONS))
def test_text_is_readable_in_every_notice(tone, theme):
    assert contrast(TOKENS["text"][theme], TOKENS[f"{tone}-bg"][theme]) >= 7


@THEMES
@pytest.mark.parametrize("button", ["primary", "primary-hover", "danger", "danger-hover"])
def test_white_is_readable_on_every_coloured_button(button, theme):
    assert contrast("#ffffff", TOKENS[button][theme]) >= 4.5


@THEMES
@pytest.mark.parametrize("ground", ["bg", "surface", "sunken", "raised"])
def test_the_focus_ring_stands_out(ground, theme):
    assert contrast(TOKENS["focus"][theme], TOKENS[ground][theme]) >= 3


def test_contrast_and_distance_know_the_textbook_values():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert closest(["#ff0000", "#00ff00"], DEUTERANOPIA)[0] < closest(["#ff0000", "#00ff00"])[0]
