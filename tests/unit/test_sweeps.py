"""Sweeps as arithmetic: points, early stopping, and who may be called the winner."""

import random
from decimal import Decimal

import numpy
import pytest

from evaluation.domain import contests
from projects.domain.contests import Contest
from training.domain.sweeps import losses, space, stopping, tpe, winner
from training.domain.sweeps.losses import Ending
from training.domain.sweeps.space import BadSpace
from training.domain.sweeps.stopping import Course

RATES = {"name": "learning_rate", "low": 1e-5, "high": 1e-2, "log": True}


# Points


def test_a_grid_is_every_combination_once():
    found = space.read([{"name": "rank", "values": [8, 16]}, {"name": "packing", "values": [True, False]}])

    assert found.size == 4
    assert found.grid() == [
        {"rank": 8, "packing": True},
        {"rank": 8, "packing": False},
        {"rank": 16, "packing": True},
        {"rank": 16, "packing": False},
    ]
    assert space.read(found.as_list()) == found


def test_draws_are_the_same_for_a_seed_differ_and_stay_inside():
    found = space.read([RATES, {"name": "rank", "low": 4, "high": 64}])
    points = found.draws(50, 7)

    assert points == found.draws(50, 7) != found.draws(50, 8)
    assert len({tuple(one.values()) for one in points}) == 50
    assert all(1e-5 <= one["learning_rate"] <= 1e-2 and 4 <= one["rank"] <= 64 for one in points)
    assert all(isinstance(one["rank"], int) for one in points)
    below = sum(one["learning_rate"] < 10**-3.5 for one in points)
    assert 12 <= below <= 38, "every magnitude comes as often"


def test_a_small_space_has_no_more_points_than_it_has():
    assert len(space.read([{"name": "rank", "values": [8, 16]}]).draws(10, 1)) == 2


def test_corners_enclose_the_dearest_point():
    found = space.read([{"name": "epochs", "values": [3, 1, 2]}, {"name": "rank", "low": 4, "high": 64}])

    assert {"epochs": 3, "rank": 64} in found.extremes()
    assert len(found.extremes()) == 4


@pytest.mark.parametrize(
    ("text", "name", "meant"),
    [
        ("8, 16,32", "rank", {"name": "rank", "values": ["8", "16", "32"]}),
        ("1e-5 .. 1e-3 log", "learning_rate", {"name": "learning_rate", "low": "1e-5", "high": "1e-3", "log": True}),
        ("1..3", "epochs", {"name": "epochs", "low": "1", "high": "3", "log": False}),
        ("yes, no", "packing", {"name": "packing", "values": [True, False]}),
        ("3, 4", "dataset_version", {"name": "dataset_version", "values": [3, 4]}),
    ],
)
def test_people_write_lists_and_ranges(text, name, meant):
    assert space.written(text, name) == meant
    space.read([meant])


@pytest.mark.parametrize("text", ["8 16", "1..", "..", "a, b", "1e-5 .. 1e-3 linear", "3"])
def test_what_nobody_can_mean_is_refused(text):
    with pytest.raises(BadSpace):
        space.read([space.written(text, "rank")])


def test_tpe_finds_a_valley_better_than_chance():
    found = space.read([RATES, {"name": "target_modules", "values": [["q_proj"], ["k_proj", "q_proj"]]}])

    def value(params):
        return abs(numpy.log10(params["learning_rate"]) + 3) + (params["target_modules"] != ["q_proj"])

    told = []
    for _ in range(30):
        point = tpe.suggest(found, told, 1)
        told.append(tpe.Told(point, value(point)))
    late = [one.value for one in told[-10:]]
    chance = [value(point) for point in found.draws(200, 3)]

    assert tpe.suggest(found, told, 1) == tpe.suggest(found, told, 1)
    assert numpy.mean(late) < 0.6 * numpy.mean(chance)
    tpe.suggest(found, [*told, tpe.Told(told[0].params), tpe.Told(told[0].params, float("nan"))], 1)


# Stopping


def course(run, share, loss, noise=0.0, seed=0):
    rng = random.Random(seed + run)
    return Course(run, share, [(n / 100, loss + rng.gauss(0, noise)) for n in range(1, round(share * 100) + 1)])


def test_the_median_rule_needs_others_grace_and_a_gap_beyond_the_noise():
    others = [course(n, 0.8, 1.0) for n in range(3)]

    assert "half of the 3 other runs" in stopping.hopeless("median", course(9, 0.5, 2.0), others, 0.3)
    assert not stopping.hopeless("median", course(9, 0.5, 0.9), others, 0.3)
    assert not stopping.hopeless("median", course(9, 0.2, 2.0), others, 0.3)
    assert not stopping.hopeless("median", course(9, 0.5, 2.0), others[:2], 0.3)
    assert not stopping.hopeless("none", course(9, 0.5, 2.0), others, 0.3)
    assert not stopping.hopeless("median", course(9, 0.5, 1.02, noise=0.5), others, 0.3)
    behind = [course(n, 0.4, 1.0) for n in range(3)]
    assert not stopping.hopeless("median", course(9, 0.5, 2.0), behind, 0.3), "they have not come there yet"


def test_halving_lets_a_third_go_on():
    runs = [course(n, 0.5, 1 + n) for n in range(6)]
    fates = [
        bool(stopping.hopeless("halving", one, [other for other in runs if other is not one], 0.2)) for one in runs
    ]

    assert fates == [False, False, True, True, True, True]


def test_a_loss_that_is_no_number_is_hopeless():
    lost = Course(1, 0.5, [(0.5, float("nan"))])

    assert "not a number" in stopping.hopeless("median", lost, [], 0.3)


# Winners by loss


def noisy(rng, level, n=60, follow=0.6):
    value, found = 0.0, []
    for _ in range(n):
        value = follow * value + rng.gauss(0, 0.05)
        found.append(level + value)
    return found


def test_equal_runs_are_rarely_called_different_however_many_they_are():
    rng = random.Random(5)
    wrong = sum(len(losses.contest([Ending(n, noisy(rng, 1.0)) for n in range(8)]).tied) < 8 for _ in range(200))

    assert wrong <= 20, "5 % of 200 and what chance adds"


def test_a_clear_difference_is_seen():
    rng = random.Random(6)
    found = losses.contest([Ending(n, noisy(rng, 1.0 + 0.3 * n)) for n in range(4)])

    assert found.order == (0, 1, 2, 3)
    assert found.is_clear
    assert 0 < found.low < found.difference < found.high


def test_the_same_batches_take_their_noise_out():
    """Two runs over the same rows in the same order: a small gap is seen that unpaired noise would hide."""
    rng = random.Random(7)
    batches = [rng.gauss(1, 0.3) for _ in range(40)]
    one, two = ([b + d + rng.gauss(0, 0.002) for b in batches] for d in (0.0, 0.02))

    assert losses.contest([Ending(1, one, "same"), Ending(2, two, "same")]).is_clear
    assert not losses.contest([Ending(1, one, "a"), Ending(2, two, "b")]).is_clear


def looks(rng, level, noise, n=21):
    """The loss of held-out rows from look to look: it falls ever slower, and jumps a little."""
    return [level + 1 / (1 + at) + rng.gauss(0, noise) for at in range(n)]


def ended(rng, levels, noise):
    endings = [losses.ending(looks(rng, level, noise), losses.FEWEST_LOOKS) for level in levels]
    return [Ending(number, values, "the same rows and steps") for number, values in enumerate(endings)]


def test_equal_runs_are_rarely_told_apart_by_a_handful_of_looks():
    rng = random.Random(8)
    wrong = sum(len(losses.contest(ended(rng, [1.0] * 6, 0.01)).tied) < 6 for _ in range(200))

    assert wrong <= 20, "5 % of 200 and what chance adds"


def test_a_gap_far_beyond_the_jumps_between_looks_is_seen():
    rng = random.Random(9)
    found = losses.contest(ended(rng, [1.0, 1.3, 1.4], 0.002), losses.VALIDATION_MEASURE, losses.VALIDATION_NOTE)

    assert found.is_clear and found.order == (0, 1, 2) and found.n == 5
    assert (found.measure, found.note) == (losses.VALIDATION_MEASURE, losses.VALIDATION_NOTE)


def test_too_few_steps_say_nothing():
    found = losses.contest([Ending(1, [1.0, 1.1]), Ending(2, [5.0, 5.1])])

    assert (found.is_clear, found.low) == (False, None)
    assert losses.contest([]) is None
    assert losses.contest([Ending(1, [])]) is None


def test_students_quantiles_are_those_of_the_tables():
    for freedom, value in {1: 12.706, 2: 4.303, 5: 2.571, 10: 2.228, 30: 2.042}.items():
        assert losses.student(0.975, freedom) == pytest.approx(value, rel=0.01)


# Winners on a golden set


def answers(rng, share, n=80):
    return {index: float(rng.random() < share) for index in range(n)}


def test_equal_adapters_are_rarely_called_different_on_golden_rows():
    wrong = 0
    for seed in range(60):
        rng = random.Random(seed)
        rows = {key: answers(rng, 0.7) for key in range(6)}
        found = contests.contest(rows, measure="m", binary=True, rng=numpy.random.default_rng(seed), resamples=500)
        wrong += len(found.tied) < 6
    assert wrong <= 6


def test_a_better_adapter_is_seen_and_the_interval_agrees():
    rng = random.Random(1)
    rows = {1: answers(rng, 0.5, 200), 2: answers(rng, 0.9, 200), 3: answers(rng, 0.6, 200)}
    found = contests.contest(rows, measure="m", binary=True, rng=numpy.random.default_rng(0))

    assert found.first == 2
    assert found.is_clear
    assert 0 < found.low < found.difference < found.high


def test_a_few_lucky_rows_are_no_proof():
    """Four rows gained of forty and none lost exclude zero for a bootstrap, and prove nothing (p = 0.125)."""
    base = dict.fromkeys(range(40), 0.0)
    found = contests.contest(
        {1: base, 2: base | dict.fromkeys(range(4), 1.0)}, measure="m", binary=True, rng=numpy.random.default_rng(0)
    )

    assert (found.first, found.is_clear) == (2, False)
    assert found.low <= 0


def test_only_rows_that_all_answered_are_compared():
    found = contests.contest(
        {1: {0: 1.0, 1: 1.0}, 2: {1: 0.0, 2: 0.0}}, measure="m", binary=True, rng=numpy.random.default_rng(0)
    )

    assert found.n == 1
    assert (
        contests.contest({1: {0: 1.0}, 2: {1: 0.0}}, measure="m", binary=True, rng=numpy.random.default_rng(0)) is None
    )


# The proposal


def made(tied, **fields):
    values = {1: 0.81, 2: 0.80, 3: 0.5}
    told = {"difference": 0.01, "low": -0.02, "high": 0.04, "n": 100} | fields
    return Contest("Exact match", True, (1, 2, 3), values, tied, **told)


NAMES = {1: "#1", 2: "#2", 3: "#3"}
COSTS = {1: Decimal(9), 2: Decimal(2), 3: Decimal(1)}


def test_between_two_that_cannot_be_told_apart_the_cheaper_is_proposed():
    found = winner.propose(made((1, 2)), COSTS, NAMES, "EUR")

    assert (found.winner, found.clear) == (2, False)
    assert found.headline == "No clear winner between #1 and #2"
    assert "the cheapest of them (€2.00)" in found.reason
    assert "95 % interval" in found.reason


def test_the_clear_winner_is_proposed_whatever_it_costs():
    found = winner.propose(made((1,), low=0.005), COSTS, NAMES, "EUR")

    assert (found.winner, found.clear, found.headline) == (1, True, "#1 is the best")


def test_a_better_loss_is_said_to_be_lower_and_a_better_score_higher():
    loss = Contest("Loss", False, (1, 2), {1: 0.5, 2: 0.75}, (1,), 0.25, 0.125, 0.375)
    assert (
        "#1 against #2: \N{MINUS SIGN}0.250, 95 % interval \N{MINUS SIGN}0.375 to \N{MINUS SIGN}0.125"
        in winner.propose(loss, COSTS, NAMES, "EUR").reason
    )
    assert (
        "#1 against #2: +1.0\N{NARROW NO-BREAK SPACE}pp"
        in winner.propose(made((1,), low=0.005), COSTS, NAMES, "EUR").reason
    )


def test_one_result_wins_against_nobody():
    found = winner.propose(Contest("Loss", False, (3,), {3: 1.25}, (3,)), COSTS, NAMES, "EUR")

    assert (found.winner, found.clear) == (3, False)
    assert "only run" in found.headline


def test_many_are_counted_not_listed():
    names = {n: f"#{n}" for n in range(1, 6)}
    found = winner.propose(
        Contest("Loss", False, (1, 2, 3, 4, 5), dict.fromkeys(names, 1.0), (1, 2, 3, 4, 5), 0.0, -1.0, 1.0),
        {},
        names,
        "EUR",
    )

    assert found.headline == "No clear winner among 5 runs"
