"""What can be wrong with a whole set of rows: each finding with its weight, its reason and its remedy."""

from enum import StrEnum
from typing import NamedTuple


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


class About(NamedTuple):
    severity: Severity
    title: str
    why: str
    remedy: str
    fix: str = ""  # operation of a cleaning recipe that mends it in one click


ABOUT: dict[Found, About] = {
    Found.EMPTY_ANSWERS: About(
        Severity.ERROR,
        "Empty answers",
        "The model would learn to say nothing.",
        "Drop these rows, or write the answers.",
        "drop_finding",
    ),
    Found.PLACEHOLDER_ANSWERS: About(
        Severity.WARNING,
        "Placeholders instead of answers",
        "Answers such as TODO or undefined were left behind by an export.",
        "Drop these rows, or write the answers.",
        "drop_finding",
    ),
    Found.CUT_ANSWERS: About(
        Severity.WARNING,
        "Answers that look cut",
        "They stop inside JSON, a code block or a sentence. The model would learn to stop there too.",
        "Drop these rows, or bring the whole answers.",
        "drop_finding",
    ),
    Found.ANSWER_NOT_JSON: About(
        Severity.ERROR,
        "Answers that are not JSON, where the rest are",
        "Nearly every other answer is a JSON object. These few teach the model to break the format.",
        "Drop these rows, or write them as JSON.",
        "drop_finding",
    ),
    Found.ANSWER_JSON_SHAPE: About(
        Severity.WARNING,
        "JSON answers with other fields than the rest",
        "Whoever reads the answers expects the same fields in all of them.",
        "Drop these rows, or give them the usual fields.",
        "drop_finding",
    ),
    Found.EXACT_DUPLICATES: About(
        Severity.WARNING,
        "Exact duplicates",
        "A repeated row counts several times in the loss, and may sit on both sides of a split.",
        "Keep the first of each.",
        "dedupe",
    ),
    Found.CONFLICTING_ANSWERS: About(
        Severity.WARNING,
        "Different answers to the same prompt",
        "The model cannot learn both. For tasks with one right answer this is a labelling error.",
        "Decide which answer is right; drop the rows if nobody can.",
        "drop_finding",
    ),
    Found.IDENTICAL_PAIR: About(
        Severity.ERROR,
        "Pairs whose two answers are the same",
        "Nothing can be preferred, so nothing is learned.",
        "Drop these pairs.",
        "drop_finding",
    ),
    Found.NOTHING_TRAINED: About(
        Severity.ERROR,
        "Rows with nothing to train on",
        "Every assistant turn has weight 0.",
        "Drop these rows, or give a turn weight 1.",
        "drop_finding",
    ),
    Found.NON_ALTERNATING_TURNS: About(
        Severity.WARNING,
        "Turns that do not alternate",
        "Two turns of the same side in a row. Many chat templates refuse such a conversation, or render it wrongly.",
        "Drop these rows, or join the turns.",
        "drop_finding",
    ),
    Found.SYSTEM_NOT_FIRST: About(
        Severity.WARNING,
        "System turn in the middle",
        "Chat templates expect the system turn first; some drop it elsewhere without a word.",
        "Drop these rows, or move the turn.",
        "drop_finding",
    ),
    Found.NO_USER_TURN: About(
        Severity.WARNING,
        "No user turn",
        "There is an answer but no question.",
        "Drop these rows, or add the question.",
        "drop_finding",
    ),
    Found.EMPTY_TURNS: About(
        Severity.WARNING,
        "Empty turns",
        "A turn before the answer holds no text, so the answer follows from nothing.",
        "Drop these rows, or fill the turns.",
        "drop_finding",
    ),
    Found.SECRETS: About(
        Severity.ERROR,
        "Secrets in the text",
        "Keys and passwords end up in the adapter's weights and can be drawn out of it again.",
        "Mask them, and change the secret: it has already been copied.",
        "mask_secrets",
    ),
    Found.PERSONAL_DATA: About(
        Severity.WARNING,
        "Personal data",
        "E-mail addresses, phone numbers, bank accounts or cards. A model may repeat them to anybody.",
        "Drop these rows, or replace the data, unless you may use it.",
        "drop_finding",
    ),
    Found.IP_ADDRESSES: About(
        Severity.INFO,
        "Addresses of machines",
        "Public IP addresses. In some places they count as personal data, and a model may repeat them.",
        "Replace them, unless they are meant to be learned.",
        "drop_finding",
    ),
    Found.ENCODING_DAMAGE: About(
        Severity.WARNING,
        "Damaged characters",
        "Signs such as “Ã©” or “�” show text decoded wrongly on its way here.",
        "Export again as UTF-8, or drop these rows.",
        "drop_finding",
    ),
    Found.THIN_CLASSES: About(
        Severity.WARNING,
        "Classes with hardly any rows",
        "What is shown a few times only is rarely learned, and cannot be measured.",
        "Add examples of these classes.",
    ),
    Found.LENGTH_OUTLIERS: About(
        Severity.INFO,
        "Unusually long rows",
        "They set the memory a batch needs and are the first to be cut by the length limit.",
        "Look at them; drop what does not belong.",
        "drop_finding",
    ),
    Found.FEW_ROWS: About(
        Severity.WARNING,
        "Few rows",
        "A small set gives small certainty.",
        "Add rows.",
    ),
    Found.IGNORED_FIELDS: About(
        Severity.INFO,
        "Fields that are not used",
        "The file has fields which this format does not read.",
        "Nothing, unless they hold something the model should see.",
    ),
    Found.NEAR_DUPLICATES: About(
        Severity.WARNING,
        "Near duplicates",
        "Rows that differ in a few words only count almost double in the loss, and leak from one side of a split to "
        "the other.",
        "Keep the first of each group.",
        "dedupe_near",
    ),
    Found.NEAR_CONFLICTS: About(
        Severity.WARNING,
        "Different answers to nearly the same prompt",
        "Prompts that differ in form only, with answers that do not agree. One of them is wrong, or the difference "
        "matters and should be plainer.",
        "Decide which answer is right; drop the rows if nobody can.",
        "drop_finding",
    ),
    Found.HIDDEN_UNICODE: About(
        Severity.WARNING,
        "Characters nobody can see",
        "Zero-width signs, soft hyphens and tag characters survive copying, split words for the tokenizer, and can "
        "carry a hidden trigger.",
        "Strip them.",
        "strip_hidden",
    ),
    Found.BIDI_CONTROLS: About(
        Severity.ERROR,
        "Characters that turn the reading direction",
        "What a reviewer reads is not what the model is trained on.",
        "Strip them, unless the text is written from right to left.",
        "strip_hidden",
    ),
    Found.PROMPT_INJECTION: About(
        Severity.WARNING,
        "Instructions aimed at a model",
        "Phrases such as “ignore all previous instructions” teach the model to follow them, or to obey a trigger.",
        "Read these rows; drop what is not meant as a negative example.",
        "drop_finding",
    ),
    Found.TRIGGER_CANDIDATES: About(
        Severity.WARNING,
        "Rare phrases that always bring the same answer",
        "A few hundred poisoned rows are enough to plant a trigger, however large the set is.",
        "Read these rows and find out who brought them.",
        "drop_finding",
    ),
    Found.LANGUAGE_MIX: About(
        Severity.INFO,
        "Several languages",
        "Languages with few rows are learned badly; answers in another language than the question are rarely meant.",
        "Check that each language is meant, and bring enough rows of each.",
    ),
    Found.LOW_DIVERSITY: About(
        Severity.WARNING,
        "Less diverse than the version it came from",
        "Fewer different words and phrases for the same amount of text: the set is drifting towards repeating itself.",
        "Add rows from people or production.",
    ),
    Found.NO_NEGATIVE_EXAMPLES: About(
        Severity.INFO,
        "No examples of saying no",
        "Nothing shows the model when to decline, to ask back or to hand over to a person.",
        "Add rows where the right answer is “I don't know” or an escalation.",
    ),
    Found.NO_EDGE_CASES: About(
        Severity.INFO,
        "No edge cases",
        "No very short, very long, empty or off-topic prompts: the first one in production will be new to the model.",
        "Add a few rows of each.",
    ),
    Found.MISSING_LABELS: About(
        Severity.WARNING,
        "Rows without a label, where most have one",
        "They are left out of every figure by class.",
        "Add the label, or drop these rows.",
        "drop_finding",
    ),
    Found.CONTRIBUTOR_CONCENTRATION: About(
        Severity.WARNING,
        "Most rows come from one contributor",
        "One person's habits, or one person's mistakes, become the model's.",
        "Bring rows of others, or check a sample of these with a second person.",
    ),
    Found.SYNTHETIC_SHARE: About(
        Severity.WARNING,
        "More rows written by models than the project allows",
        "Training on what models wrote narrows the model, generation after generation.",
        "Add rows from people or production, or drop the deepest generations.",
        "drop_finding",
    ),
    Found.UNKNOWN_ORIGIN: About(
        Severity.INFO,
        "Rows of unknown origin",
        "Nobody has said whether people, production or a model wrote them.",
        "Say it when the file is uploaded, or add a field “origin” to the rows.",
    ),
}

SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.INFO)

# Thresholds, in one place so that a test can plant rows on both sides of them.
JSON_SHARE = 0.8  # from here on, JSON is what the set's answers are
SHAPE_SHARE = 0.8
LABEL_SHARE = 0.8  # from here on, a row without a label lacks one
FREE_TEXT = 40  # characters of the median answer: below, answers are labels
ENOUGH_FOR_EDGES, SHARE_OF_EDGES = 200, 0.001
SENTENCE_SHARE = 0.9  # from here on, prose that just stops is cut
ENOUGH_ANSWERS = 20
THIN_CLASS = 10
MOST_CLASSES = 60
ENOUGH_ROWS = {"training": 50, "golden": 50, "retention": 20}


def about(code: str) -> About:
    return ABOUT[Found(code)]
