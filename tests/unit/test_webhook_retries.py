"""When something is tried again, given up, or an endpoint is: over a faked day."""

import random
from datetime import UTC, datetime, timedelta

from projects.domain import retries

NOW = datetime(2026, 5, 4, tzinfo=UTC)


class Fixed(random.Random):
    def __init__(self, share):
        self.share = share

    def uniform(self, low, high):
        return low + (high - low) * self.share


def test_pauses_grow_threefold_up_to_six_hours():
    pauses = [retries.delay(attempts, Fixed(0.5)) for attempts in range(1, retries.MAX_ATTEMPTS)]

    assert pauses == [10, 30, 90, 270, 810, 2430, 7290, 21600, 21600, 21600]
    assert 18 * 3600 < sum(pauses) < 26 * 3600, "about a day"


def test_pauses_are_spread_by_a_fifth_each_way():
    chance = random.Random(7)
    spread = [retries.delay(3, chance) for _ in range(500)]

    assert 72 <= min(spread) < 80 and 100 < max(spread) <= 108
    assert len(set(spread)) > 490


def test_what_the_receiver_asks_for_is_kept_within_reason():
    assert retries.delay(1, Fixed(0.5), at_least=120) == 120
    assert retries.delay(1, Fixed(0.5), at_least=10**9) == retries.LONGEST_SECONDS
    assert retries.delay(9, Fixed(0.5), at_least=1) == 21600


def test_it_is_given_up_after_the_last_attempt():
    assert [retries.is_given_up(attempts) for attempts in (1, 10, 11, 12)] == [False, False, True, True]


def test_an_endpoint_is_left_alone_for_longer_and_longer():
    assert [retries.rest(failures) for failures in (0, 1, 2, 3, 4, 5, 8, 50)] == [0, 0, 0, 10, 20, 40, 300, 300]


def test_an_endpoint_is_hopeless_when_it_failed_for_days_and_often_or_is_gone():
    long_ago, lately = NOW - timedelta(days=2), NOW - timedelta(days=1, hours=23)

    assert retries.is_hopeless(15, long_ago, NOW, 500)
    assert not retries.is_hopeless(14, long_ago, NOW, 500)
    assert not retries.is_hopeless(100, lately, NOW, 500)
    assert not retries.is_hopeless(100, None, NOW, None)
    assert retries.is_hopeless(1, NOW, NOW, 410)
