"""Gates: what must be true of the evidence before anyone may approve it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from evaluation.domain.graders import GRADERS
from training.domain.findings import TITLES

RETENTION_LIMIT_PERCENT = 5.0
RETENTION_RULE = f"loss up {RETENTION_LIMIT_PERCENT:g} % at most"
MINUS = "\N{MINUS SIGN}"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
NEEDED_OF_A_RUN = {
    "dataset_hash": "the hash of its dataset version",
    "base_fingerprint": "the fingerprint of its base model",
    "recipe_sha256": "its recipe",
    "seed": "its seed",
    "packages_sha256": "the versions of its packages",
}

Facts = Mapping[str, Any]


class Status(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What a gate found: `value` and `threshold` as a person would read them aloud."""

    status: Status
    value: str
    explanation: str


@dataclass(frozen=True)
class Gate:
    code: str
    title: str
    threshold: str
    status: Status
    value: str
    explanation: str
    blocking: bool = True
    version: int = 1

    @property
    def blocks(self) -> bool:
        """Only a pass lets through: not knowing blocks like failing does."""
        return self.blocking and self.status is not Status.PASS

    def as_evidence(self) -> dict[str, Any]:
        """The part that the approval is bound to; wording may improve without voiding an approval."""
        return {
            "status": self.status.value,
            "value": self.value,
            "threshold": self.threshold,
            "blocking": self.blocking,
            "version": self.version,
        }


def _passed(value: str, explanation: str) -> Finding:
    return Finding(Status.PASS, value, explanation)


def _failed(value: str, explanation: str) -> Finding:
    return Finding(Status.FAIL, value, explanation)


def _unknown(value: str, explanation: str) -> Finding:
    return Finding(Status.INCONCLUSIVE, value, explanation)


def evaluated(facts: Facts) -> Finding:
    evaluation = facts["evaluation"]
    if not evaluation:
        return _failed("none", "The request names no evaluation. Evaluate the adapter on a golden set first.")
    if evaluation["adapter_id"] != facts["adapter"]["id"]:
        return _failed("another adapter", "The evaluation is of another adapter. Choose one of this adapter.")
    if evaluation["state"] != "succeeded":
        return _failed(evaluation["state"], "The evaluation has not succeeded. Wait, or start it again.")
    n = int(evaluation["n"] or 0)
    if not n:
        return _failed("0 rows", "The evaluation scored no row.")
    golden = evaluation["golden"]
    return _passed(f"{n} rows", f"Evaluated on {n} rows of {golden['name']} v{golden['number']}.")


def better_than_base(facts: Facts) -> Finding:
    evaluation = facts["evaluation"]
    score = (evaluation or {}).get("graders", {}).get((evaluation or {}).get("primary"))
    if not score:
        return _unknown("not measured", "There is no paired score against the base model.")
    low, high = float(score["low"]), float(score["high"])
    points = f"{_points(score['difference'])} [{_points(low)}, {_points(high)}]"
    grader = GRADERS.get(evaluation["primary"])
    name = grader.label if grader else evaluation["primary"]
    against = f"{name.lower()} {_percent(score['base'])} → {_percent(score['adapter'])}"
    if low > 0:
        return _passed(points, f"Better than its base: {against}, and the whole 95 % interval is above zero.")
    if high <= 0:
        return _failed(points, f"Not better than its base: {against}; the 95 % interval reaches no gain.")
    return _unknown(
        points, f"Cannot tell from base: {against}, but the interval contains zero. Use a larger golden set."
    )


def keeps_general_ability(facts: Facts) -> Finding:
    change = (facts["evaluation"] or {}).get("retention_change_percent")
    if change is None:
        return _unknown("not measured", "No retention set was used. Evaluate again with a retention set.")
    change = float(change)
    value = f"{change:+.2g} %".replace("-", MINUS)
    if change <= RETENTION_LIMIT_PERCENT:
        return _passed(value, "Loss on general text stays within the limit.")
    return _failed(value, "Loss on general text rose too far: the adapter has forgotten general ability.")


def files_intact(facts: Facts) -> Finding:
    recorded, found = facts["adapter"]["files"], facts["adapter"]["found"]
    if not recorded:
        return _failed("no files", "The adapter has no recorded files.")
    pickles = sorted(name for name in {*recorded, *found} if name.endswith(PICKLES))
    if pickles:
        return _failed(", ".join(pickles), "Only safetensors may be deployed; a pickle can run code.")
    wrong = sorted(name for name in {*recorded, *found} if recorded.get(name) != found.get(name))
    if wrong:
        return _failed(
            f"{len(wrong)} of {len(recorded)} differ",
            f"These files are not what training wrote: {', '.join(wrong)}. Restore them or train again.",
        )
    return _passed(f"{len(recorded)} of {len(recorded)}", "Every file has the SHA-256 recorded by training.")


def sound(facts: Facts) -> Finding:
    """What the adapter's own weights, config and base say against it."""
    found = [finding.partition(" ") for finding in facts["adapter"]["findings"]]
    if not found:
        return _passed("no findings", "Names, shapes, rank and weights fit the base and what servers take.")
    codes = sorted({code for code, _, _ in found})
    text = ". ".join(f"{TITLES.get(code, code)}{_places(code, found)}" for code in codes)
    value = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    if codes == ["base_unproven"]:
        return _unknown("base unproven", f"{text}. Import it again with the exact version of its base.")
    return _failed(value, f"{text}. The adapter's page says more.")


def _places(code: str, found: Sequence[tuple[str, str, str]]) -> str:
    places = [place for other, _, place in found if other == code and place]
    return f" ({', '.join(places[:3])})" if places else ""


def base_equal(facts: Facts) -> Finding:
    seen = {"adapter": facts["base"]["fingerprint"]}
    if facts["run"] is not None:
        seen["run"] = facts["run"]["base_fingerprint"]
    seen["evaluation"] = (facts["evaluation"] or {}).get("base_fingerprint")
    missing = [where for where, fingerprint in seen.items() if not fingerprint]
    if missing:
        return _unknown("unknown", f"No base fingerprint is known for the {' and the '.join(missing)}.")
    short = " / ".join(str(fingerprint)[:8] for fingerprint in seen.values())
    if other := _answered_for(facts, seen):
        return other
    if len(set(seen.values())) > 1:
        return _failed(short, "Adapter, run and evaluation do not stand on the same base-model version.")
    return _passed(str(seen["adapter"])[:8], "Trained and evaluated on the same base-model version.")


def _answered_for(facts: Facts, seen: Mapping[str, Any]) -> Finding | None:
    """Evaluated on another version than it was trained on, when somebody answers for that pair."""
    other = facts.get("other_base")
    if not other or seen.get("run", seen["adapter"]) != seen["adapter"] or seen["evaluation"] == seen["adapter"]:
        return None
    told = f"Trained on {facts['base']['name']} and evaluated on {other['name']}, which is {other['verdict']}"
    decision = other["decision"]
    if other["fingerprint"] != seen["evaluation"] or not decision or other["verdict"] == "incompatible":
        return _failed(other["verdict"], f"{told}. Nobody answers for that pair: decide on it under Compatibility.")
    return _passed(f"{other['verdict']}, decided", f"{told}. {decision['by']} answers for it: “{decision['reason']}”")


def uncontaminated(facts: Facts) -> Finding:
    overlap = facts["contamination"]
    if facts["training_data"] is None:
        return _unknown(
            "unknown data", "Nobody has said what it was trained on, so golden rows may have been in it. "
            "Import it again with its dataset version, or train it further on known data."
        )  # fmt: skip
    if overlap is None:
        return _unknown("not compared", "Training data and golden set have not been compared.")
    exact, normalised = int(overlap["exact"]), int(overlap["normalised"])
    similar = int(overlap.get("similar", 0))
    if exact or normalised or similar:
        return _failed(
            f"{exact} exact, {normalised} normalised" + (f", {similar} similar" if similar else ""),
            "Golden rows were in the training data, so the score flatters the adapter. "
            "Clean the dataset and train again.",
        )
    return _passed("0 rows", "No golden row is in the training data.")


def lineage_complete(facts: Facts) -> Finding:
    run = facts["run"]
    if run is None:
        return _imported(facts["import"])
    missing = [words for key, words in NEEDED_OF_A_RUN.items() if run.get(key) in (None, "")]
    if not run["ledger_lines"]:
        missing.append("its cost")
    if run["dataset_hash"] and run["dataset_hash"] != facts["training_data"]["content_hash"]:
        return _failed("other data", "The run was frozen with another dataset hash than its version has now.")
    if missing:
        return _failed(f"{len(missing)} missing", f"The run does not record {', '.join(missing)}.")
    return _passed("complete", "Data, base, recipe, seed, packages and cost of the run are all on record.")


def nothing_withdrawn(facts: Facts) -> Finding:
    reasons = facts["stale"]
    if reasons:
        value = "1 reason" if len(reasons) == 1 else f"{len(reasons)} reasons"
        more = f" And {len(reasons) - 3} more." if len(reasons) > 3 else ""
        return _failed(value, f"{' '.join(reasons[:3])}{more} Train again on what may be used.")
    return _passed("nothing", "Nothing that it stands on was withdrawn or erased.")


def _imported(brought: Mapping[str, Any]) -> Finding:
    """Of an adapter that was trained elsewhere: where it comes from, who brought it, and its bytes as they came."""
    if not (brought["source"] and brought["files"] and brought["by"]):
        return _failed("source missing", "The import does not record where the adapter comes from.")
    return _passed("imported", f"Imported from “{brought['source']}”; the bytes that came and who brought them are "
                   "on record. Its training is not.")  # fmt: skip


def _points(share: Any) -> str:
    return f"{float(share) * 100:+.1f}".replace("-", MINUS)


def _percent(share: Any) -> str:
    return f"{float(share) * 100:.1f} %"


CHECKS: Sequence[tuple[str, str, str, Callable[[Facts], Finding]]] = (
    ("evaluation", "Evaluated", "a finished evaluation", evaluated),
    ("better_than_base", "Better than its base", "95 % interval above 0 points", better_than_base),
    ("retention", "General ability kept", RETENTION_RULE, keeps_general_ability),
    ("integrity", "Files intact", "every SHA-256 equal", files_intact),
    ("adapter_integrity", "Sound adapter", "no findings", sound),
    ("base_fingerprint", "Same base everywhere", "one fingerprint", base_equal),
    ("contamination", "No leaked golden rows", "0 rows shared", uncontaminated),
    ("lineage", "Lineage complete", "nothing missing", lineage_complete),
    ("standing", "Nothing withdrawn", "no stale ancestor", nothing_withdrawn),
)


def judge(facts: Facts) -> list[Gate]:
    """Every gate over one set of facts. A gate that cannot be computed is an error, and an error blocks."""
    return [Gate(code, title, threshold, **vars(_find(check, facts))) for code, title, threshold, check in CHECKS]


def _find(check: Callable[[Facts], Finding], facts: Facts) -> Finding:
    try:
        return check(facts)
    except (KeyError, TypeError, ValueError, AttributeError) as broken:
        return Finding(Status.ERROR, "error", f"This gate could not be computed: {type(broken).__name__} {broken}.")


def blocked_by(gates: Sequence[Gate]) -> list[str]:
    return [gate.title for gate in gates if gate.blocks]
