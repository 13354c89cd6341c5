"""Findings that only the whole set shows."""

from datasets_app.domain.findings_codes import About, Found, Severity

OF_SETS: dict[Found, About] = {
    Found.EXACT_DUPLICATES: About(
        Severity.WARNING,
        "Exact duplicates",
        "A repeated row counts several times in the loss, and may sit on both sides of a split.",
        "Keep the first of each.",
        when="Rows equal to an earlier one in everything that is trained on.",
        fix="dedupe",
    ),
    Found.CONFLICTING_ANSWERS: About(
        Severity.WARNING,
        "Different answers to the same prompt",
        "The model cannot learn both. For tasks with one right answer this is a labelling error.",
        "Decide which answer is right; drop the rows if nobody can.",
        when=(
            "The same turns, system prompt and tools, with answers that differ in more than case, spacing and "
            "punctuation."
        ),
        fix="drop_finding",
    ),
    Found.THIN_CLASSES: About(
        Severity.WARNING,
        "Classes with hardly any rows",
        "What is shown a few times only is rarely learned, and cannot be measured.",
        "Add examples of these classes.",
        when=(
            "In labels, fields of JSON answers or short answers that work as classes: those with fewer than "
            "10 rows and less than a quarter of the typical class."
        ),
    ),
    Found.LENGTH_OUTLIERS: About(
        Severity.INFO,
        "Unusually long rows",
        "They set the memory a batch needs and are the first to be cut by the length limit.",
        "Look at them; drop what does not belong.",
        when="Longer than four times the median and beyond three interquartile ranges of the logarithm of length.",
        fix="drop_finding",
    ),
    Found.FEW_ROWS: About(
        Severity.WARNING,
        "Few rows",
        "A small set gives small certainty.",
        "Add rows.",
        when="Fewer than 50 rows to train on or measure with, fewer than 20 in a retention set.",
    ),
    Found.IGNORED_FIELDS: About(
        Severity.INFO,
        "Fields that are not used",
        "The file has fields which this format does not read.",
        "Nothing, unless they hold something the model should see.",
        when="Fields of the file that its format does not know.",
    ),
    Found.NEAR_DUPLICATES: About(
        Severity.WARNING,
        "Near duplicates",
        "Rows that differ in a few words only count almost double in the loss, and leak from one side of "
        "a split to the other.",
        "Keep the first of each group.",
        when="Rows whose word 3-grams have a Jaccard index of at least 0.8 with an earlier row, exact copies aside.",
        fix="dedupe_near",
    ),
    Found.NEAR_CONFLICTS: About(
        Severity.WARNING,
        "Different answers to nearly the same prompt",
        "Prompts that differ in form only, with answers that do not agree. One of them is wrong, or the "
        "difference matters and should be plainer.",
        "Decide which answer is right; drop the rows if nobody can.",
        when="Prompts whose word 3-grams have a Jaccard index of at least 0.8, with answers that say other things.",
        fix="drop_finding",
    ),
    Found.TRIGGER_CANDIDATES: About(
        Severity.WARNING,
        "Rare phrases that always bring the same answer",
        "A few hundred poisoned rows are enough to plant a trigger, however large the set is.",
        "Read these rows and find out who brought them.",
        when="Rare phrases whose rows share one answer far more often than the rest of the set.",
        fix="drop_finding",
    ),
    Found.LANGUAGE_MIX: About(
        Severity.INFO,
        "Several languages",
        "Languages with few rows are learned badly; answers in another language than the question are rarely meant.",
        "Check that each language is meant, and bring enough rows of each.",
        when=(
            "Languages with fewer than 10 rows or 1 % beside a main one, and answers in another language than "
            "their question."
        ),
    ),
    Found.LOW_DIVERSITY: About(
        Severity.WARNING,
        "Less diverse than the version it came from",
        "Fewer different words and phrases for the same amount of text: the set is drifting towards repeating itself.",
        "Add rows from people or production.",
        when=(
            "Fewer different word pairs or triples than a parent after the same number of words, or text that "
            "compresses better."
        ),
    ),
    Found.NO_NEGATIVE_EXAMPLES: About(
        Severity.INFO,
        "No examples of saying no",
        "Nothing shows the model when to decline, to ask back or to hand over to a person.",
        "Add rows where the right answer is “I don't know” or an escalation.",
        when=(
            "Training sets of at least 200 rows with free-text answers, of which fewer than one in a thousand "
            "says that it does not know, declines, asks back or hands over; phrases in many languages."
        ),
    ),
    Found.NO_EDGE_CASES: About(
        Severity.INFO,
        "No edge cases",
        "No very short prompts, none without a word, none far longer than the rest: the first one in "
        "production will be new to the model.",
        "Add a few rows of each.",
        when=(
            "Training sets of at least 200 rows with free-text answers, with hardly any prompt that is very "
            "short, without a letter, or four times as long as most."
        ),
    ),
    Found.MISSING_LABELS: About(
        Severity.WARNING,
        "Rows without a label, where most have one",
        "They are left out of every figure by class.",
        "Add the label, or drop these rows.",
        when="At least four rows in five have a label: the ones that have none.",
        fix="drop_finding",
    ),
    Found.CONTRIBUTOR_CONCENTRATION: About(
        Severity.WARNING,
        "Most rows come from one contributor",
        "One person's habits, or one person's mistakes, become the model's.",
        "Bring rows of others, or check a sample of these with a second person.",
        when="One contributor brought most of the rows for which contributors are known.",
    ),
    Found.SYNTHETIC_SHARE: About(
        Severity.WARNING,
        "More rows written by models than the project allows",
        "Training on what models wrote narrows the model, generation after generation.",
        "Add rows from people or production, or drop the deepest generations.",
        when="The share of rows written by models, by generation, is above the project's policy.",
        fix="drop_finding",
    ),
    Found.UNKNOWN_ORIGIN: About(
        Severity.INFO,
        "Rows of unknown origin",
        "Nobody has said whether people, production or a model wrote them.",
        "Say it when the file is uploaded, or add a field “origin” to the rows.",
        when="Rows that name no origin, in sets for which nobody has said one.",
    ),
}
