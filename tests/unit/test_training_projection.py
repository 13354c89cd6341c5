"""Projections: more work costs more, what was measured narrows the band, and the reason is given."""

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.domain import projection
from training.domain.projection import Measured, Shape, estimate, fitting, footprint, formula, workload
from training.domain.projection.bands import Guess, total
from training.domain.projection.formula import StepTime
from training.domain.projection.measured import nearest
from training.domain.projection.points import Point, condense
from training.domain.recipe import Recipe

TINY = Shape(1_046_016, hidden=192, layers=2, vocab=835, heads=4, kv_heads=2, head_dim=48, intermediate=576)
QWEN = Shape(
    1_543_714_304, hidden=1536, layers=28, vocab=151_936, heads=12, kv_heads=2, head_dim=128, intermediate=8960
)
STEP = StepTime(0.01, 1e-4, 1e-8)


def plan(recipe=None, lengths=(50,) * 500, **changes) -> projection.Plan:
    rows = np.array(lengths)
    facts = {
        "device": "cpu",
        "card": "1 CPU thread",
        "capacity": 0,
        "architecture": "LlamaForCausalLM",
        "fingerprint": "f" * 64,
        "shape": TINY,
        "recipe": recipe or Recipe(epochs=4, rank=32),
        "lengths": rows,
        "epoch_tokens": int(rows.sum()),
        "trained_tokens": 10 * len(rows),
    }
    return projection.make(**facts | changes)


def measured(of: projection.Plan, step: StepTime = STEP, sizes=(0.7, 1.0, 1.3), **changes) -> Measured:
    """A run of this plan whose steps took exactly what `step` says."""
    work = of.work
    points = tuple(Point(work.batches, work.padded * size, work.square * size**2, 0, 10) for size in sizes)
    points = tuple(replace(point, seconds=step.seconds(point.batches, point.padded, point.square)) for point in points)
    stages = {"starting": 0.5, "preparing": 0.2, "loading": 5.0, "warm_up": 0.1, "saving": 0.2, "closing": 0.6}
    return Measured(
        **{"plan": of, "points": points, "stages": stages, "memory_bytes": 5e8, "save_bytes": 2e6} | changes
    )


def project(of: projection.Plan, rows=(), price="0.10", **more) -> projection.Projection:
    return projection.project(of, measured=rows, hour_price=Decimal(price), currency="EUR", **more)


# The work


def test_a_projection_counts_steps_and_tokens_of_all_epochs():
    found = project(plan())
    assert (found.rows, found.steps, found.tokens, found.trained_tokens) == (500, 252, 100_000, 20_000)


def test_padding_is_counted_by_batch():
    """One row of 100 among seven of 10 makes a batch of 800 tokens, of which 170 are real."""
    work = plan(Recipe(epochs=1), lengths=[100, *[10] * 7]).work
    assert (work.padded, work.square, work.widest_rows, work.widest_length) == (800, 80_000, 8, 100)
    assert work.padding == pytest.approx(1 - 170 / 800)


def test_expected_padding_is_that_of_many_shuffles():
    rng = np.random.default_rng(5)
    lengths = np.clip(rng.lognormal(5, 0.7, 4000), 8, 1000).astype(int)
    work = plan(Recipe(epochs=2, batch_size=8), lengths=lengths).work
    truth = [8 * rng.permutation(lengths).reshape(-1, 8).max(axis=1).mean() for _ in range(20)]
    assert work.padded == pytest.approx(np.mean(truth), rel=0.02)
    assert work.steps == 1000


def test_rows_of_like_length_are_put_together_on_a_card_where_the_library_does_the_pass():
    rng = np.random.default_rng(5)
    lengths = np.clip(rng.lognormal(5, 0.7, 4000), 8, 1000).astype(int)
    recipe = Recipe(epochs=1, dropout=0.1)
    mixed, sorted_ = (plan(recipe, lengths, device=device, card="").work for device in ("cpu", "cuda"))
    assert sorted_.padding < 0.1 < mixed.padding
    assert plan(recipe, lengths, device="cuda").pace.by_length


def test_the_fast_pass_computes_no_padding_and_rows_see_only_themselves():
    work = plan(Recipe(epochs=1), lengths=[100, *[10] * 7], device="cuda", shape=QWEN).work
    assert (work.padded, work.padding) == (170, 0)
    assert work.square == pytest.approx(100**2 + 7 * 10**2)


def test_of_pairs_both_answers_are_computed():
    work = plan(Recipe(method="dpo", epochs=1, batch_size=4), lengths=[50] * 8).work
    assert (work.padded, work.widest_rows, work.steps) == (400, 8, 2)


def pairs(pace: str = "auto", *, recompute: str = "auto", epochs: int = 2, **changes) -> projection.Plan:
    """200 pairs whose sequences have 300 and 200 tokens, on a card."""
    recipe = Recipe(method="dpo", epochs=epochs, batch_size=8, pace=pace, recompute=recompute)
    facts = {"device": "cuda", "capacity": 150 * 10**9, "shape": QWEN, "epoch_tokens": 200 * 500, "card": "H200"}
    return plan(recipe, [300] * 200, **facts | changes)


def test_of_pairs_in_one_row_the_tokens_of_both_answers_are_computed_and_no_padding():
    of = pairs()
    work = of.work
    assert (of.pace.path, work.steps, work.tokens) == ("fast", 50, 200_000)
    assert (work.padded, work.widest_rows, work.widest_length, work.longest) == (4000, 1, 4000, 500)
    assert work.padding == 0
    assert pairs("library").work.padding > 0.15


def test_the_reference_reads_an_epoch_once_on_the_fast_pass_and_in_every_step_on_the_librarys():
    """Forward costs half of forward and back; two epochs are trained and one is read."""
    of = pairs(recompute="never")
    found = project(of)
    assert found.stages["reference"] == pytest.approx(found.stages["training"] / 2 / 2)
    assert project(pairs("library")).stages["reference"] == 0
    sft = plan(Recipe(), device="cuda", capacity=150 * 10**9, shape=QWEN)
    assert project(sft).stages["reference"] == 0
    slow, quick = pairs("library", recompute="never").formula, of.formula
    rates = (9e13, 5e14)
    assert slow.token * rates[0] == pytest.approx(1.5 * quick.token * rates[1])


def test_a_measured_reference_is_scaled_to_all_tokens_whether_a_rehearsal_stopped_or_an_attempt_went_on():
    of = pairs()
    told = {"points": [[1, 4000, 1e6, 0.1, 30]], "measured_steps": 30, "stages": {"training": 4.0, "reference": 2.0}}
    read = Measured.read(of.as_dict(), told | {"reference_tokens": 20_000, "epoch_tokens": 50_000}, rehearsal=True)
    assert read.stages["reference"] == pytest.approx(5.0)  # for the 50,000 tokens that the rehearsal was of
    assert project(of, rehearsal=read).stages["reference"] == pytest.approx(10.0)
    kept = Measured.read(of.as_dict(), told | {"reference_tokens": 0})
    assert "reference" not in kept.stages


def test_packing_fills_sequences_as_the_packer_does():
    assert sorted(workload.best_fit([6, 5, 4, 3, 2], 10)) == [10, 10]
    work = plan(Recipe(epochs=1, packing=True, max_length=100, batch_size=2), lengths=[50] * 400).work
    assert (work.sequences, work.steps, work.padded) == (200, 100, 200)
    assert work.square == 200**2  # on a CPU the packed row is one square


def test_accumulated_batches_are_one_step():
    work = plan(Recipe(epochs=1, batch_size=4, accumulation=4), lengths=[50] * 64).work
    assert (work.steps, work.batches, work.padded) == (4, 4, 800)


@given(st.floats(0.1, 50), st.integers(1, 64), st.lists(st.integers(1, 2000), min_size=1, max_size=200))
def test_bands_are_ordered_and_finite(epochs, batch, lengths):
    found = project(plan(Recipe(epochs=epochs, batch_size=batch), lengths))
    for band in (found.seconds, found.memory_bytes, found.disk_bytes, found.token_band):
        assert 0 < band.p10 <= band.p50 <= band.p90 < math.inf
    assert plan(Recipe(epochs=epochs, batch_size=batch), lengths).work.padding < 1


def test_no_rows_are_no_work():
    assert plan(lengths=[]).work.steps == 1
    assert project(plan(lengths=[])).seconds.p50 > 0


# Time


def test_money_is_time_times_price_at_every_quantile():
    found = project(plan(), price="3.60")
    for name in ("p10", "p50", "p90"):
        assert float(found.money[name]) == pytest.approx(getattr(found.seconds, name) / 1000, abs=1e-4)


def test_nothing_measured_is_a_formula_and_says_so():
    found = project(plan())
    assert found.source == found.level == "formula" and "formula" in found.why
    assert found.seconds.p90 / found.seconds.p10 > 3


@pytest.mark.parametrize(
    ("change", "level", "source"),
    [
        ({}, "same", "measured"),
        ({"lengths": [200] * 500}, "base", "measured"),
        ({"recipe": Recipe(epochs=1, batch_size=2)}, "base", "measured"),
        ({"fingerprint": "0" * 64}, "family", "scaled"),
        ({"fingerprint": "0" * 64, "architecture": "Other"}, "card", "scaled"),
        ({"recipe": Recipe(method="dpo")}, "card", "scaled"),
        ({"card": "another"}, "kind", "scaled"),
        ({"device": "cuda"}, "formula", "formula"),
    ],
)
def test_the_nearest_is_taken_and_named(change, level, source):
    found = project(plan(**change), [measured(plan())])
    assert (found.level, found.source) == (level, source)
    assert found.why.endswith(".") and ("1 measured run" in found.why or level == "formula")


def test_a_card_that_is_not_known_yet_may_be_any_of_its_kind():
    assert project(plan(card=""), [measured(plan())]).level == "same"


def test_the_nearer_the_narrower():
    rows = [measured(plan())]
    widths = [
        (found.seconds.p90 / found.seconds.p10)
        for found in (project(plan(), rows), project(plan(fingerprint="0" * 64), rows), project(plan()))
    ]
    assert widths == sorted(widths)


def test_measured_steps_give_the_time_of_like_steps():
    of = plan()
    found = project(of, [measured(of)] * 3)
    exact = of.work.steps * STEP.seconds(of.work.batches, of.work.padded, of.work.square)
    assert found.stages["training"] == pytest.approx(exact, rel=0.02)
    assert found.rate == pytest.approx(of.work.tokens / exact, rel=0.02)


def test_other_lengths_follow_the_fitted_sizes_of_the_steps():
    short = measured(plan(lengths=[50] * 500), sizes=(0.25, 0.5, 1, 2, 4))
    longer = plan(lengths=[100] * 500)
    exact = longer.work.steps * STEP.seconds(longer.work.batches, longer.work.padded, longer.work.square)
    assert project(longer, [short]).stages["training"] == pytest.approx(exact, rel=0.1)


def test_steps_far_beyond_what_was_measured_are_doubted():
    rows = [measured(plan())]
    near, far = (project(plan(lengths=[length] * 500), rows) for length in (90, 900))
    assert far.guesses["seconds"][1] > near.guesses["seconds"][1]


def test_other_models_are_scaled_by_size():
    big = replace(TINY, parameters=TINY.parameters * 100)
    rows = [measured(plan(), StepTime(0, 1e-4, 0))]
    small, large = (project(plan(shape=shape, fingerprint="0" * 64), rows) for shape in (TINY, big))
    assert 20 < large.stages["training"] / small.stages["training"] < 200


def test_stages_around_the_steps_are_read_off_any_run_on_the_device():
    found = project(plan(recipe=Recipe(method="dpo")), [measured(plan())])
    assert found.stages["closing"] == pytest.approx(0.6)
    assert found.stages["loading"] == pytest.approx(5.0)


def test_checkpoints_are_paid_for():
    without, with_ = (project(plan(Recipe(epochs=4, checkpoint_steps=steps))) for steps in (0, 10))
    assert (without.saves, with_.saves) == (0, 25)
    assert with_.seconds.p50 > without.seconds.p50 and with_.disk_bytes.p50 > without.disk_bytes.p50
    assert with_.stages["checkpoints"] > 0


def test_samples_are_paid_for_before_between_and_after():
    of = plan(Recipe(epochs=4, checkpoint_steps=100))
    stages = measured(of).stages | {"sample": 2.0}
    found = project(of, [measured(of, stages=stages)])
    assert found.saves == 2 and found.stages["samples"] == pytest.approx(2.0 * 4)


def looked_at(of: projection.Plan, tokens: int = 2500) -> projection.Plan:
    return replace(of, look_tokens=tokens)


def test_looks_at_validation_rows_are_paid_for_before_between_and_after():
    of = looked_at(plan(Recipe(epochs=4, rank=32, checkpoint_steps=50)))
    found, without = project(of, [measured(of)]), project(replace(of, look_tokens=0), [measured(of)])
    assert "validation" not in without.stages and found.seconds.p50 > without.seconds.p50
    more = project(looked_at(of, 5000), [measured(of)])
    each = found.stages["validation"] / found.looks
    assert more.stages["validation"] == pytest.approx(2 * each * more.looks) and more.looks < found.looks
    # A tenth of an epoch, forward only, before the first step, at each save, in between and at the end.
    epoch = found.stages["training"] / 4
    assert found.looks > 2 + found.saves > 2 and without.looks == 0
    assert found.stages["validation"] == pytest.approx(found.looks * 0.1 * epoch / 2)


def test_of_pairs_the_reference_reads_the_validation_rows_once_more():
    of = looked_at(pairs("fast"))
    found = project(of, [measured(of)])
    each = found.stages["validation"] / (1 + found.looks)
    row = measured(of, stages=measured(of).stages | {"look": 2 * each})
    assert project(of, [row]).stages["validation"] == pytest.approx(2 * found.stages["validation"], rel=1e-6)


def test_measured_looks_are_scaled_by_their_tokens():
    of = looked_at(plan())
    row = measured(of, stages=measured(of).stages | {"look": 0.5})
    found = project(looked_at(of, 5000), [row])
    assert found.stages["validation"] == pytest.approx(found.looks * 1.0)


def test_samples_of_a_known_family_on_a_card_are_played():
    known, other, packed = (
        estimate.STAGES["sample"](plan(recipe, device="cuda", card="NVIDIA H200", shape=QWEN, architecture=name))
        for name, recipe in (
            ("Qwen2ForCausalLM", None), ("OlmoForCausalLM", None), ("Qwen2ForCausalLM", Recipe(four_bit=True)),
        )
    )  # fmt: skip
    assert known < other / 3 and packed == other


def test_rows_that_ask_nothing_take_no_samples_once_a_rehearsal_has_seen_it():
    """Other runs with this base answered; these rows have no questions."""
    of = plan()
    asked = measured(of, stages=measured(of).stages | {"sample": 2.0})
    silent = measured(of, stages=measured(of).stages | {"sample": 0.0}, rehearsal=True)
    assert project(of, [asked]).stages["samples"] == pytest.approx(4.0)
    assert project(of, [asked, silent], rehearsal=silent).stages["samples"] == 0


def test_a_rehearsal_replaces_the_guess():
    rehearsed = measured(plan(), StepTime(0, 5e-4, 0), rehearsal=True, memory_bytes=7e8)
    found = project(plan(), [measured(plan())], rehearsal=rehearsed)
    assert (found.source, found.level) == ("rehearsed", "rehearsed")
    assert "30 real steps" in found.why
    work = plan().work
    assert found.stages["training"] == pytest.approx(work.steps * work.padded * 5e-4, rel=0.05)
    assert found.memory_bytes.p50 == pytest.approx(7e8, rel=0.01)
    assert found.seconds.p90 / found.seconds.p10 < 1.4


def test_peaks_of_single_steps_say_what_the_widest_batch_will_need():
    """1 GB and 1 MB a token; the rehearsal's own longest batch is wider than one of the run will be."""
    of = plan(lengths=[50] * 400 + [100] * 100)
    peaks = tuple((tokens, 1e9 + 1e6 * tokens) for tokens in (400, 800, 1600))
    found = project(of, rehearsal=measured(of, rehearsal=True, peaks=peaks, memory_bytes=2.6e9))
    widest = of.work.widest_rows * of.work.widest_length
    assert found.memory_bytes.p50 == pytest.approx(1e9 + 1e6 * widest)
    flat = measured(of, rehearsal=True, peaks=((400, 2e9), (800, 1.9e9)), memory_bytes=2e9)
    assert project(of, rehearsal=flat).memory_bytes.p50 == 2e9


def test_what_a_rehearsal_compiled_the_run_finds_ready():
    rehearsed = measured(plan(), rehearsal=True, stages={"warm_up": 10.0})
    assert project(plan(), rehearsal=rehearsed).stages["warm_up"] == pytest.approx(4.0)
    assert project(plan(), [measured(plan(), stages={"warm_up": 10.0})]).stages["warm_up"] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("method", "rows", "length", "peak"),
    [("dpo", 4, 1055, 5.687e9), ("sft", 1, 22_665, 47.26e9)],
    ids=["pairs, the library's pass", "the fast pass"],
)
def test_the_memory_formula_is_near_what_an_h200_measured(method, rows, length, peak):
    """LoRA of rank 16 on the shape of Qwen2-1.5B; see docs/benchmarks.md."""
    of = plan(
        Recipe(method=method, batch_size=rows, max_length=32_768, pace="library" if method == "dpo" else "auto"),
        [length] * rows, device="cuda", capacity=150 * 10**9, architecture="Qwen2ForCausalLM", shape=QWEN,
    )  # fmt: skip
    assert of.work.widest_rows * of.work.widest_length == rows * length * (2 if method == "dpo" else 1)
    band = project(of).memory_bytes
    assert band.p10 < peak < band.p90
    assert band.p50 == pytest.approx(peak, rel=0.15)


def test_which_rows_meet_is_chance_and_widens_the_band_of_memory():
    rng = np.random.default_rng(2)
    uneven = np.clip(rng.lognormal(5, 1.2, 60), 8, 4000).astype(int)
    even, mixed = plan(lengths=[200] * 60, device="cuda", shape=QWEN), plan(lengths=uneven, device="cuda", shape=QWEN)
    assert even.work.widest_spread == 0 < mixed.work.widest_spread
    assert project(mixed).guesses["memory_bytes"][1] > project(even).guesses["memory_bytes"][1]


def test_parts_add_up_like_independent_ones():
    found = total([Guess(10, 0.3), Guess(10, 0.3)])
    assert found.middle == 20
    assert 0.2 < found.sigma < 0.23
    assert total([]).middle == 0


# Fitting


def test_a_fit_finds_what_made_the_points_and_shrugs_off_a_stall():
    rng = np.random.default_rng(1)
    points = []
    for _ in range(60):
        padded = float(rng.integers(200, 4000))
        square = padded * float(rng.integers(50, 900))
        points.append(Point(1, padded, square, STEP.seconds(1, padded, square) * float(rng.normal(1, 0.03))))
    points[7] = replace(points[7], seconds=points[7].seconds * 30)
    found = fitting.fit([points], StepTime(0.02, 2e-4, 2e-8))
    for padded, square in ((300, 300 * 60), (3000, 3000 * 800)):
        assert found.seconds(1, padded, square) == pytest.approx(STEP.seconds(1, padded, square), rel=0.06)


def test_steps_that_are_all_alike_leave_the_formulas_shape():
    prior = StepTime(0.01, 1e-4, 0)
    points = [Point(1, 1000, 50_000, 0.22, 30)]
    found = fitting.fit([points], prior)
    assert found.seconds(1, 1000, 0) == pytest.approx(0.22, rel=0.01)
    assert found.batch / found.token == pytest.approx(prior.batch / prior.token, rel=0.05)


def test_a_fit_is_never_negative():
    points = [Point(1, 100, 1000, 0.5), Point(1, 1000, 10_000, 0.1)]  # larger steps that take less
    found = fitting.fit([points], STEP)
    assert min(found.batch, found.token, found.square) >= 0


@given(st.lists(st.tuples(st.integers(1, 4000), st.floats(1e-4, 10)), min_size=1, max_size=200))
def test_condensed_points_keep_the_sum(raw):
    points = [Point(1, padded, padded * 10, seconds) for padded, seconds in raw]
    found = condense(points)
    assert len(found) <= 32
    assert sum(one.seconds * one.steps for one in found) == pytest.approx(sum(one.seconds for one in points))
    again = [Point.read(one.as_list()) for one in found]
    assert sum(one.steps for one in again) == len(points)


# Memory and disk


def test_more_of_anything_takes_more_memory():
    def memory(recipe=None, **more):
        return project(plan(recipe or Recipe(), **more)).memory_bytes.p50

    assert memory(Recipe(batch_size=64)) > memory()
    assert memory(lengths=[500] * 500) > memory()
    assert memory(Recipe(four_bit=True), shape=QWEN) < memory(shape=QWEN)
    assert memory(shape=QWEN, device="cuda", recipe=Recipe(recompute="always")) < memory(shape=QWEN, device="cuda")


def test_cards_that_share_the_weights_need_less_each_take_longer_and_are_measured_by_themselves():
    def of(sharding, **more):
        recipe = Recipe(devices=4, sharding=sharding, **more)
        return plan(recipe, device="cuda", card="H200", capacity=150 * 10**9, shape=QWEN)

    whole, shared = of("replicate"), of("shard")
    assert shared.pace.sharded and not whole.pace.sharded
    for pace in ("auto", "library"):
        parts = [project(of(sharding, pace=pace)) for sharding in ("replicate", "shard")]
        saved = parts[0].memory_bytes.p50 - parts[1].memory_bytes.p50
        assert 0.3e9 < saved < 2 * QWEN.parameters
        assert parts[1].seconds.p50 > parts[0].seconds.p50
        assert float(parts[1].money["p50"]) > float(parts[0].money["p50"])
    # All four processes read the whole base before it goes to their cards, or one weight at a time.
    assert project(whole).host_bytes > 4 * 2 * QWEN.parameters > 2 * project(shared).host_bytes
    assert project(plan(Recipe(), shape=QWEN)).host_bytes == 0
    measured = Measured.read(whole.as_dict(), {"points": [[1, 4000, 1e6, 0.1, 30]], "measured_steps": 30})
    assert nearest(whole, [measured]).level.name == "same"
    assert nearest(shared, [measured]).level.name == "cards"
    assert projection.Plan.read(shared.as_dict()).pace.sharded


def test_the_adapter_has_as_many_weights_as_its_matrices():
    """Rank 8 on all linear layers: 2 × 8 × (in + out) summed over seven of each of two layers."""
    wide = (192 + 192) + 2 * (192 + 96) + (192 + 192) + 2 * (192 + 576) + (576 + 192)
    assert formula.adapter_parameters(TINY, Recipe(rank=8)) == 8 * wide * 2
    assert formula.adapter_parameters(TINY, Recipe(rank=8, target_modules=("q_proj",))) == 8 * 384 * 2
    assert formula.adapter_parameters(TINY, Recipe(rank=8, target_modules=("c_attn",))) > 0


def test_an_inner_width_that_is_not_known_follows_from_the_weights():
    assert replace(TINY, intermediate=0).inner == pytest.approx(576, rel=0.05)
    assert Shape(10**9).inner == 0


def test_a_measured_peak_corrects_the_formula():
    of = plan()
    usual = footprint.memory(of)
    found = project(of, [measured(of, memory_bytes=usual * 1.4)] * 3)
    assert found.memory_bytes.p50 == pytest.approx(usual * 1.4)
    assert found.memory_bytes.p90 / found.memory_bytes.p50 < 1.2


def test_disk_holds_three_checkpoints_and_the_adapter_twice():
    of = plan(Recipe(epochs=4, checkpoint_steps=10))
    found = project(of, [measured(of, save_bytes=3e6, adapter_bytes=1e6)])
    assert found.disk_bytes.p50 == pytest.approx(3 * 3e6 + 2 * 1e6, rel=0.01)


def test_what_stands_beside_the_weights_does_not_grow_with_the_rank():
    low, high = plan(Recipe(rank=4)), plan(Recipe(rank=64))
    stored = footprint.adapter(low.shape, low.recipe) - 20_000
    found = project(high, [measured(low, save_bytes=0, adapter_bytes=stored)])
    assert found.disk_bytes.p50 == pytest.approx(2 * (footprint.adapter(high.shape, high.recipe) - 20_000), rel=0.01)


# What is stored


def test_a_plan_survives_being_stored():
    of = plan(Recipe(epochs=2, packing=True, batch_size=4))
    again = projection.Plan.read(of.as_dict())
    assert (again.work, again.shape, again.bucket, again.pace.path) == (of.work, of.shape, of.bucket, of.pace.path)
    assert again.recipe.packing and again.recipe.batch_size == 4


def test_what_an_engine_says_is_read_back():
    told = {
        "points": [[1, 400, 20_000, 0.1, 20], [1, 500, 25_000, 0.2, 10]],
        "stages": {"training": 6.0, "loading": 4.0},
        "measured_steps": 32,
        "saves": 2,
        "save_seconds": 0.5,
        "memory_bytes": 1e9,
        "widest": [8, 99],
        "pace": {"path": "fast", "attention": "varlen", "rows": 4, "accumulation": 2, "tokens": 99, "recompute": True,
                 "by_length": False, "reasons": ["why"]},
    }  # fmt: skip
    found = Measured.read(plan().as_dict(), told)
    assert found.stages["warm_up"] == pytest.approx(6.0 - 32 * 4 / 30 - 0.5)
    assert found.stages["checkpoint"] == 0.25
    assert (found.plan.work.widest_rows, found.plan.work.widest_length, found.plan.pace.rows) == (8, 99, 4)
    assert Measured.read(plan().as_dict(), {}).points == ()

    told |= {"samples_taken": 3, "sample_seconds": 0.9, "stages": told["stages"] | {"samples": 0.6}}
    asked = Measured.read(plan().as_dict(), told)
    assert asked.stages["sample"] == pytest.approx(0.3) and "samples" not in asked.stages
    assert asked.stages["warm_up"] == pytest.approx(found.stages["warm_up"] - 0.3)  # of the checkpoint's, in training


def test_looks_are_read_back_without_the_time_of_the_steps():
    of = looked_at(pairs("fast"))
    told = {"points": [[1, 100, 100, 0.1, 4]], "measured_steps": 4, "memory_bytes": 1, "looks": 3, "look_seconds": 2.0}
    found = Measured.read(of.as_dict(), told | {"stages": {"training": 0.5, "validation": 2.0}})
    assert found.stages["look"] == 0.5 and "validation" not in found.stages
    assert found.stages["warm_up"] == pytest.approx(0.1)
    assert found.plan.look_tokens == 2500


def test_predicted_against_actual_says_if_it_lay_inside():
    found = project(plan()).as_dict()
    found["seconds"] = vars(found["seconds"]) if not isinstance(found["seconds"], dict) else found["seconds"]
    rows = projection.compare(found, {"seconds": found["seconds"]["p50"], "money": "99", "memory_bytes": None})
    assert [(row["name"], row["inside"]) for row in rows] == [("seconds", True), ("money", False)]


def test_a_projection_of_an_older_version_is_still_compared():
    old = {"seconds": {"p10": 1, "p50": 2, "p90": 3}, "money": {"p10": "1", "p50": "2", "p90": "3"}}
    assert [row["inside"] for row in projection.compare(old, {"seconds": 2.5, "money": 4})] == [True, False]
