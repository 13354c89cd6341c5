"""The codes of findings, how heavy they weigh, and what there is to say about each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Found(StrEnum):
    EMPTY_ANSWERS = "empty_answers"
    PLACEHOLDER_ANSWERS = "placeholder_answers"
    CUT_ANSWERS = "cut_answers"
    ANSWER_NOT_JSON = "answer_not_json"
    ANSWER_JSON_SHAPE = "answer_json_shape"
    EXACT_DUPLICATES = "exact_duplicates"
    CONFLICTING_ANSWERS = "conflicting_answers"
    IDENTICAL_PAIR = "identical_pair"
    NOTHING_TRAINED = "nothing_trained"
    NON_ALTERNATING_TURNS = "non_alternating_turns"
    SYSTEM_NOT_FIRST = "system_not_first"
    NO_USER_TURN = "no_user_turn"
    EMPTY_TURNS = "empty_turns"
    SECRETS = "secrets"
    PERSONAL_DATA = "personal_data"
    IP_ADDRESSES = "ip_addresses"
    ENCODING_DAMAGE = "encoding_damage"
    THIN_CLASSES = "thin_classes"
    LENGTH_OUTLIERS = "length_outliers"
    FEW_ROWS = "few_rows"
    IGNORED_FIELDS = "ignored_fields"
    NEAR_DUPLICATES = "near_duplicates"
    NEAR_CONFLICTS = "near_conflicts"
    HIDDEN_UNICODE = "hidden_unicode"
    BIDI_CONTROLS = "bidi_controls"
    PROMPT_INJECTION = "prompt_injection"
    TRIGGER_CANDIDATES = "trigger_candidates"
    LANGUAGE_MIX = "language_mix"
    LOW_DIVERSITY = "low_diversity"
    NO_NEGATIVE_EXAMPLES = "no_negative_examples"
    NO_EDGE_CASES = "no_edge_cases"
    MISSING_LABELS = "missing_labels"
    CONTRIBUTOR_CONCENTRATION = "contributor_concentration"
    SYNTHETIC_SHARE = "synthetic_share"
    UNKNOWN_ORIGIN = "unknown_origin"


@dataclass(frozen=True, slots=True)
class About:
    severity: Severity
    title: str
    why: str  # it matters
    remedy: str
    when: str  # it is raised
    fix: str = ""  # operation of a recipe that mends it in one click
    fix_args: Mapping[str, Any] = field(default_factory=dict)
