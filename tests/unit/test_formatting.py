"""How numbers, times, sizes and money are written for people."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from projects.domain import formatting, looks

NOW = datetime(2026, 11, 22, 14, 5, 9, tzinfo=UTC)


def spaced(text):
    """Expectations are typed with plain spaces; the pages use narrow ones that do not break."""
    return text.replace(formatting.NARROW, " ")


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (Decimal("1234.5"), "EUR", "€1 234.50"),
        (Decimal("-3.2"), "USD", "−$3.20"),
        (0, "EUR", "€0.00"),
        (Decimal("0.0032"), "EUR", "€0.0032"),
        (Decimal("0.000014"), "EUR", "€1.4e-5"),
        (12, "SEK", "SEK 12.00"),
        (0.1, "GBP", "£0.10"),
    ],
)
def test_money(amount, currency, written):
    assert spaced(formatting.money(amount, currency)) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (8040, "2 h 14 min"),
        (7200, "2 h"),
        (86_400 * 3 + 4 * 3600 + 50, "3 d 4 h"),
        (86_400 + 20, "1 d"),
        (-90, "−1 min 30 s"),
        (timedelta(minutes=3), "3 min"),
    ],
)
def test_durations_show_their_two_largest_units(seconds, written):
    assert spaced(formatting.duration(seconds)) == written


@pytest.mark.parametrize(
    ("gap", "written"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(seconds=50), "1 min ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5, minutes=10), "5 h ago"),
        (timedelta(days=2, hours=3), "2 d ago"),
        (timedelta(hours=-2), "in 2 h"),
        (timedelta(days=60), "23 Sep 2026"),
    ],
)
def test_times_are_relative_until_they_are_old(gap, written):
    assert spaced(formatting.relative(NOW - gap, NOW)) == written


def test_the_exact_time_names_its_zone():
    assert formatting.exact(NOW) == "22 Nov 2026, 14:05:09 UTC"
    assert formatting.exact(NOW.replace(tzinfo=None)) == "22 Nov 2026, 14:05:09"


@pytest.mark.parametrize("month", range(1, 13))
def test_months_are_called_as_the_calendar_calls_them(month):
    day = NOW.replace(month=month, day=3)
    assert formatting.exact(day).startswith(f"3 {day:%b} 2026, ")
    assert formatting.relative(day, NOW + timedelta(days=365)) == f"3 {day:%b} 2026"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.5, "0.500"),
        (0.01834, "0.0183"),
        (0.00234, "0.00234"),
        (12.345, "12.3"),
        (2.0, "2.00"),
        (1234.56, "1 235"),
        (-0.25, "−0.250"),
        (1234567, "1 234 567"),
        (2e-5, "2e-5"),
        (0.0002, "2e-4"),
        (-0.00025, "−2.5e-4"),
        (0.0, "0"),
        (0.9999, "1.00"),
        (0.00099999, "0.00100"),
        (999.6, "1 000"),
        (Decimal("3.14159"), "3.14"),
    ],
)
def test_measures_have_three_significant_digits(value, written):
    assert spaced(formatting.sig3(value)) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1_400_000, "1.40 MB"),
        (999_900, "1.00 MB"), (4 * 1024**3, "4.29 GB"), (5e15, "5 000 TB"),
    ],
)  # fmt: skip
def test_sizes(count, written):
    assert spaced(formatting.size(count)) == written


def test_shares_and_their_differences():
    assert spaced(formatting.percent(0.1234)) == "12.3 %"
    assert spaced(formatting.percent(1, 0)) == "100 %"
    assert spaced(formatting.points(0.1234)) == "+12.3 pp"
    assert spaced(formatting.points(-0.05)) == "−5.0 pp"
    assert spaced(formatting.points(0.0)) == "0.0 pp"
    assert spaced(formatting.points(0.0001)) == "0.0 pp"


def test_hashes_are_shown_by_eight_characters_of_the_digest():
    assert formatting.short_hash("sha256:0123456789abcdef") == "01234567"
    assert formatting.short_hash("0123456789abcdef") == "01234567"


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ada Lindqvist", "AL"), ("ada.lovelace@example.org", "AL"), ("grace@example.org", "G"), ("", "?"), ("@", "?")],
)
def test_initials(name, letters):
    assert formatting.initials(name) == letters


def test_every_look_has_a_tone_that_the_style_sheet_knows():
    assert {look.tone for look in looks.LOOKS.values()} <= set(looks.TONE_ICONS)
    assert set(looks.TONE_ALIASES.values()) <= set(looks.TONE_ICONS)


def test_an_unknown_state_shows_its_own_name_in_grey():
    assert looks.look_of("half_done") == looks.Look("Half done", "point", "waiting")
    assert looks.tone_of("danger") == "failed"
    assert looks.tone_of("anything") == "waiting"
