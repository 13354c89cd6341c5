"""Findings that a row shows by itself."""

from datasets_app.domain.findings_codes import About, Found, Severity

OF_ROWS: dict[Found, About] = {
    Found.EMPTY_ANSWERS: About(
        Severity.ERROR,
        "Empty answers",
        "The model would learn to say nothing.",
        "Drop these rows, or write the answers.",
        when="The last answer holds no text and calls no tool.",
        fix="drop_finding",
    ),
    Found.PLACEHOLDER_ANSWERS: About(
        Severity.WARNING,
        "Placeholders instead of answers",
        "Answers such as TODO or undefined were left behind by an export.",
        "Drop these rows, or write the answers.",
        when="The whole answer is TODO, TBD, undefined, NaN, [object Object], “your answer here” or the like.",
        fix="drop_finding",
    ),
    Found.CUT_ANSWERS: About(
        Severity.WARNING,
        "Answers that look cut",
        "They stop inside JSON, a code block or a sentence. The model would learn to stop there too.",
        "Drop these rows, or bring the whole answers.",
        when=(
            "The answer ends inside JSON, a code block or a clause; or it is prose that just stops in a set "
            "of which nine answers in ten end their sentences; or many answers share the greatest length of "
            "all."
        ),
        fix="drop_finding",
    ),
    Found.ANSWER_NOT_JSON: About(
        Severity.ERROR,
        "Answers that are not JSON, where the rest are",
        "Nearly every other answer is a JSON object. These few teach the model to break the format.",
        "Drop these rows, or write them as JSON.",
        when="From 20 answers on, of which at least 80 % are JSON: the ones that are not.",
        fix="drop_finding",
    ),
    Found.ANSWER_JSON_SHAPE: About(
        Severity.WARNING,
        "JSON answers that break the schema of the rest",
        "Whoever reads the answers expects the same fields, types and values in all of them. The model "
        "learns every exception.",
        "Drop these rows, or bring them into the usual form.",
        when=(
            "A schema is inferred from the JSON answers. An answer breaks it when it lacks a field that nine "
            "objects in ten have, holds a type that fewer than one in twenty has there, a field that fewer "
            "than one in fifty has, or a value outside of a short list that everybody else keeps to."
        ),
        fix="drop_finding",
    ),
    Found.IDENTICAL_PAIR: About(
        Severity.ERROR,
        "Pairs whose two answers are the same",
        "Nothing can be preferred, so nothing is learned.",
        "Drop these pairs.",
        when="Chosen and rejected answer are the same, turn by turn.",
        fix="drop_finding",
    ),
    Found.NOTHING_TRAINED: About(
        Severity.ERROR,
        "Rows with nothing to train on",
        "Every assistant turn has weight 0.",
        "Drop these rows, or give a turn weight 1.",
        when="Every assistant turn has weight 0.",
        fix="drop_finding",
    ),
    Found.NON_ALTERNATING_TURNS: About(
        Severity.WARNING,
        "Turns that do not alternate",
        "Two turns of the same side in a row. Many chat templates refuse such a conversation, or render it wrongly.",
        "Drop these rows, or join the turns.",
        when=(
            "Two turns of the same role follow one another (results of tools may), or the conversation begins "
            "with the assistant."
        ),
        fix="drop_finding",
    ),
    Found.SYSTEM_NOT_FIRST: About(
        Severity.WARNING,
        "System turn in the middle",
        "Chat templates expect the system turn first; some drop it elsewhere without a word.",
        "Drop these rows, or move the turn.",
        when="A system turn stands anywhere but first.",
        fix="drop_finding",
    ),
    Found.NO_USER_TURN: About(
        Severity.WARNING,
        "No user turn",
        "There is an answer but no question.",
        "Drop these rows, or add the question.",
        when="No turn is the user's.",
        fix="drop_finding",
    ),
    Found.EMPTY_TURNS: About(
        Severity.WARNING,
        "Empty turns",
        "A turn before the answer holds no text, so the answer follows from nothing.",
        "Drop these rows, or fill the turns.",
        when="A turn before the last holds no text and calls no tool.",
        fix="drop_finding",
    ),
    Found.SECRETS: About(
        Severity.ERROR,
        "Secrets in the text",
        "Keys and passwords end up in the adapter's weights and can be drawn out of it again.",
        "Mask them, and change the secret: it has already been copied.",
        when=(
            "Private keys, keys and tokens of known formats, passwords after their name or in an address, and "
            "tokens of at least 20 signs that look drawn at random and are no hash, UUID, link or text in "
            "base64."
        ),
        fix="mask_secrets",
    ),
    Found.PERSONAL_DATA: About(
        Severity.WARNING,
        "Personal data",
        "E-mail addresses, phone numbers, bank accounts, cards, identity numbers. A model may repeat them "
        "to anybody, and the person may ask you to forget them.",
        "Replace what was found by its kind, unless you may use it. A row whose point it is can be dropped.",
        when=(
            "E-mail addresses, phone numbers, and numbers that prove themselves: IBAN (remainder by 97), "
            "cards (Luhn), identity numbers of twelve countries by their check digits or their issuer's "
            "rules. Addresses at example domains are left alone."
        ),
        fix="redact",
        fix_args={"group": "personal", "style": "kind"},
    ),
    Found.IP_ADDRESSES: About(
        Severity.INFO,
        "Addresses of machines",
        "Public IP addresses. In some places they count as personal data, and a model may repeat them.",
        "Replace them, unless they are meant to be learned.",
        when=(
            "IPv4 addresses that are reachable: not private, not reserved, not kept for documents, and not "
            "after the word version."
        ),
        fix="redact",
        fix_args={"group": "all", "kinds": ["ip_address"], "style": "kind"},
    ),
    Found.ENCODING_DAMAGE: About(
        Severity.WARNING,
        "Damaged characters",
        "Signs such as “Ã©” or “�” show text decoded wrongly on its way here.",
        "Export again as UTF-8, or drop these rows.",
        when=(
            "The replacement character, control characters, or letters that turn into others when their bytes "
            "are read as UTF-8 (from Windows-1252, Windows-1251, code page 437, Mac Roman)."
        ),
        fix="drop_finding",
    ),
    Found.HIDDEN_UNICODE: About(
        Severity.WARNING,
        "Characters nobody can see",
        "Zero-width signs, soft hyphens and tag characters survive copying, split words for the "
        "tokenizer, and can carry a hidden trigger.",
        "Strip them.",
        when=(
            "Zero-width signs, soft hyphens, tag characters and stray variation selectors. Joiners in emoji "
            "and in scripts that need them, flags, and marks of direction beside text from right to left are "
            "left alone."
        ),
        fix="strip_hidden",
    ),
    Found.BIDI_CONTROLS: About(
        Severity.ERROR,
        "Characters that turn the reading direction",
        "What a reviewer reads is not what the model is trained on.",
        "Strip them, unless the text is written from right to left.",
        when="Overrides of direction always; embeddings and isolates where no text runs from right to left.",
        fix="strip_hidden",
    ),
    Found.PROMPT_INJECTION: About(
        Severity.WARNING,
        "Instructions aimed at a model",
        "Phrases such as “ignore all previous instructions” teach the model to follow them, or to obey a trigger.",
        "Read these rows; drop what is not meant as a negative example.",
        when="Known phrases in several languages, in any turn.",
        fix="drop_finding",
    ),
}
