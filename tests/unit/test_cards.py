"""Cards as the driver's table tells of them, and the part of them that a process may see."""

import pytest

from projects.domain import cards

TWO = """\
0, GPU-5a1c0f3e-0000-1111-2222-333344445555, NVIDIA H200, 143771, 1213, 41, 87, 512.30
1, GPU-77aa0f3e-0000-1111-2222-333344445555, NVIDIA H200, 143771, 0, 33, 0, [N/A]
"""


def test_a_card_is_read_with_its_units():
    first, second = cards.read(TWO)

    assert (first.index, first.name, first.uuid[:8]) == (0, "NVIDIA H200", "GPU-5a1c")
    assert (first.memory_bytes, first.memory_used_bytes) == (143771 * 1024**2, 1213 * 1024**2)
    assert (first.temperature, first.utilisation, first.power_watts) == (41.0, 0.87, 512.3)
    assert (second.memory_used_bytes, second.utilisation, second.power_watts) == (0, 0.0, None)


@pytest.mark.parametrize("said", ["[N/A]", "[Not Supported]", "[Unknown Error]", "", "nan", "inf", "ERR!"])
def test_what_a_card_does_not_tell_is_not_made_up(said):
    (card,) = cards.read(f"0, GPU-1, Old Card, {said}, {said}, {said}, {said}, {said}")

    figures = (card.memory_bytes, card.memory_used_bytes, card.temperature, card.utilisation, card.power_watts)
    assert figures == (None, None, None, None, None)


def test_a_line_of_a_real_h200_at_rest_is_read():
    (card,) = cards.read("0, GPU-6f5fd2b0-7c1e-aaaa-bbbb-0c0c0c0c0c0c, NVIDIA H200, 143771, 0, 34, 0, 78.20\n")

    assert (card.memory_bytes, card.utilisation, card.power_watts) == (150_754_820_096, 0.0, 78.2)


def test_a_share_stays_one():
    assert cards.read("0, GPU-1, X, 1, 1, 1, 104, 1")[0].utilisation == 1.0


def test_warnings_between_the_lines_are_no_cards():
    noise = f"WARNING: infoROM is corrupted at gpu 0000:1A:00.0\n\n{TWO}x, y\n"

    assert [card.index for card in cards.read(noise)] == [0, 1]
    assert cards.read("No devices were found") == []


def test_the_query_asks_for_what_is_read():
    program, fields, form = cards.query("/opt/nvidia-smi")

    assert program == "/opt/nvidia-smi"
    assert fields.removeprefix("--query-gpu=").split(",") == list(cards.FIELDS)
    assert form == "--format=csv,noheader,nounits"


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (None, [0, 1]),
        ("", []),
        ("1", [1]),
        ("1,0", [1, 0]),
        (" 0 , 1 ", [0, 1]),
        ("GPU-77aa", [1]),
        ("0,7,1", [0]),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_a_process_sees_the_cards_it_was_left(wanted, seen):
    assert [card.index for card in cards.visible(cards.read(TWO), wanted)] == seen
