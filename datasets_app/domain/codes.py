"""Every code a file or a row can be refused with, and what a person can do about it.

`python -m datasets_app.domain.codes` prints docs/data-errors.md; a test keeps the two equal.
"""

from collections.abc import Mapping
from typing import NamedTuple

from datasets_app.domain.code_names import Code

__all__ = ["EXPLAINED", "FILE_CODES", "HOPELESS", "MACHINE_CODES", "ROW_CODES", "Code", "Explained", "explain"]


class Explained(NamedTuple):
    title: str
    advice: str


ROW_CODES: dict[Code, Explained] = {
    Code.INVALID_JSON: Explained(
        "The line is not valid JSON",
        "Fix the place named under “found”: one complete object, strings in double quotes, line breaks escaped.",
    ),
    Code.INVALID_UTF8: Explained(
        "Bytes that are not UTF-8",
        "Save the file as UTF-8. The line and the byte inside it are named; nothing is replaced silently.",
    ),
    Code.LONE_SURROGATE: Explained(
        "Half of a character pair (\\ud800–\\udfff)",
        "Usually an emoji cut in two by software that counts UTF-16 units. Write the whole character or remove it.",
    ),
    Code.NUL_CHARACTER: Explained("A NUL character (\\u0000)", "Remove it: databases and tokenizers do not accept it."),
    Code.NOT_A_NUMBER: Explained("NaN or Infinity", "JSON has no such numbers. Write null, or leave the field out."),
    Code.NUMBER_TOO_LARGE: Explained("A number beyond 64 bits", "Write it as a string if it is an identifier."),
    Code.TOO_DEEP: Explained(
        "Nested deeper than 64 levels", "Training rows are shallow; something has been wrapped again and again."
    ),
    Code.DUPLICATE_KEY: Explained(
        "The same key twice in one object", "Keep one of the two. Readers disagree about which one counts."
    ),
    Code.LINE_TOO_LONG: Explained(
        "One row is larger than 16 MB", "Split the row. No model sees that much text in one example."
    ),
    Code.TOO_MANY_VALUES: Explained(
        "One row holds hundreds of thousands of lists or objects",
        "Split it: one example a row.",
    ),
    Code.NOT_AN_OBJECT: Explained(
        "The row is not an object", "Each row must be {…} with named fields, not a bare list, text or number."
    ),
    Code.CSV_MALFORMED: Explained(
        "The row breaks the rules of CSV",
        "Quote fields that hold the delimiter, quotes or line breaks, and double quotes inside them.",
    ),
    Code.CSV_COLUMNS: Explained(
        "The row has more or fewer cells than the header",
        "Usually an unquoted delimiter inside a text. Quote that text.",
    ),
    Code.MISSING_FIELD: Explained(
        "A field of this format is missing", "Add the field, or choose another format for the file and read it again."
    ),
    Code.WRONG_TYPE: Explained("A field holds the wrong kind of value", "See “expected” for the kind it must be."),
    Code.EMPTY_LIST: Explained("A list of turns is empty", "Add the turns, or leave the row out."),
    Code.UNKNOWN_ROLE: Explained(
        "A role that no chat template knows",
        "Use system, user, assistant or tool (ShareGPT: system, human, gpt, observation, function_call).",
    ),
    Code.CONTENT_NOT_TEXT: Explained(
        "A turn holds something other than text",
        "Images and audio cannot be trained on here. Keep the text parts only.",
    ),
    Code.WEIGHT_INVALID: Explained(
        "A weight that is not 0 or 1 on an assistant turn",
        "weight: 0 leaves an assistant turn out of the loss, 1 trains on it. Other turns carry none.",
    ),
    Code.NO_ASSISTANT_TURN: Explained(
        "Nothing to learn from: no assistant turn", "Add the answer the model should learn, or leave the row out."
    ),
    Code.LAST_TURN_NOT_ASSISTANT: Explained(
        "The last turn is not the assistant's", "An example must end with the assistant. Drop the row or add an answer."
    ),
    Code.TOOL_CALL_INVALID: Explained(
        "A tool call without a name or with arguments that are not a JSON object",
        'Write {"type": "function", "function": {"name": …, "arguments": {…}}}.',
    ),
    Code.TOOLS_NOT_JSON: Explained(
        "The list of tools is not a JSON list of schemas",
        "Give a list of JSON schemas, or a string that holds such a list.",
    ),
    Code.NO_PROMPT: Explained(
        "Chosen and rejected answers share no prompt", "Add a prompt field, or let both begin with the same turns."
    ),
    Code.MIXED_KINDS: Explained(
        "The row is of another kind than the first rows",
        "A version holds either examples, preference pairs or plain text. Upload the others as a file of their own.",
    ),
    Code.UNPAIRED_ROW: Explained(
        "A judged answer without its opposite",
        "Give the same prompt one answer with label true and one with label false; or read only the good answers.",
    ),
    Code.UNWANTED_ANSWER: Explained(
        "An answer judged bad", "The file is read for its good answers only. Read it as pairs to learn from both."
    ),
    Code.BROKEN_CHAIN: Explained(
        "A row whose chain of parents has no beginning",
        "parent_id must be the id of another row of the file, and following it must end at a row without parent_id.",
    ),
}

FILE_CODES: dict[Code, Explained] = {
    Code.EMPTY_FILE: Explained("The file holds nothing", "Check the export that made it, then upload it again."),
    Code.TYPE_MISMATCH: Explained(
        "The content is not a table of rows",
        "Upload JSONL, JSON, CSV, TSV, Parquet or Arrow, plain, as .gz or .zst, or in a .zip.",
    ),
    Code.ENCODING_UTF16: Explained("The text is UTF-16 or UTF-32", "Save it as UTF-8 and upload it again."),
    Code.LINE_ENDS_CR: Explained("Lines end in a bare carriage return", "Save the file with line feeds (LF) or CRLF."),
    Code.ARCHIVE_UNSUPPORTED: Explained(
        "An archive that is not read here, or a spreadsheet",
        "Unpack it, or pack it as a plain ZIP without a password; save a spreadsheet as CSV (UTF-8).",
    ),
    Code.NESTED_ARCHIVE: Explained("An archive inside an archive", "Compress the table once only."),
    Code.ARCHIVE_DAMAGED: Explained(
        "The compressed file is cut or damaged", "Compress or upload it again; the rows after the damage are unknown."
    ),
    Code.ARCHIVE_TOO_LARGE: Explained(
        "Unpacks to far more than it should",
        "More than 100 times its size, or over the limit. Upload the plain file, or a part of it.",
    ),
    Code.ARCHIVE_TOO_MANY: Explained(
        "Too many files in the archive", "Pack at most 1,000; rows of many small files go into one."
    ),
    Code.UNSAFE_PATH: Explained(
        "A path in the archive that leads out of it",
        "Absolute paths, “..”, links, devices and two names that differ in case only are refused. Pack the files anew.",
    ),
    Code.DECODED_TOO_LARGE: Explained(
        "Decodes to far more than it should",
        "The Parquet pages repeat themselves beyond the limit. Write the rows as JSONL or upload a part.",
    ),
    Code.PARQUET_DAMAGED: Explained(
        "The Parquet file cannot be read", "Write it again; its footer or a page is damaged."
    ),
    Code.ARROW_DAMAGED: Explained("The Arrow file cannot be read", "Write it again, or write it as Parquet."),
    Code.ARROW_EXTENSION: Explained(
        "An Arrow file with extension types",
        "They bring code of their own, which is not run here. Cast the column to a plain type, or write JSONL.",
    ),
    Code.JSON_NOT_ROWS: Explained(
        "The JSON document holds no rows",
        "Give a list of objects, an object of equally long columns, or one object per line.",
    ),
    Code.TOO_MANY_ROWS: Explained("More rows than the limit", "Split the file."),
    Code.NO_GOOD_ROWS: Explained(
        "Not one row could be used",
        "See the list of bad rows; if they all say the same, choose another format and read the file again.",
    ),
    Code.NO_ROWS_LEFT: Explained("The recipe leaves no rows", "Take a step out of the recipe."),
    Code.RECIPE_BREAKS_ROW: Explained(
        "A step of the recipe takes the answer out of a row", "Drop such rows in a step before, or change the step."
    ),
    Code.FORMAT_UNKNOWN: Explained(
        "The columns match no format we know",
        "Choose the format yourself, or rename the columns to those of one of the formats.",
    ),
    Code.FORMAT_UNSUPPORTED: Explained(
        "A format that cannot be trained on here", "Convert the rows to pairs or to prompt and completion."
    ),
    Code.UNPAIRED_ROWS: Explained(
        "Judged answers (KTO) without pairs",
        "No prompt of the first rows has both a good and a bad answer. Choose “Judged answers, good ones only” to "
        "learn from the rows with label true, or “Judged answers, as pairs” if the opposites come later in the file.",
    ),
    Code.STEPWISE_ROWS: Explained(
        "Steps with labels (process supervision)",
        "They train a reward model, which is not trained here. Join the steps of the right solutions into one "
        "completion a prompt.",
    ),
    Code.PROMPT_ONLY: Explained(
        "Prompts without answers",
        "Good for asking a model for answers or for online methods, not for learning by themselves. Add a completion "
        "to each, or map the column that holds the answer.",
    ),
    Code.PRETOKENISED: Explained(
        "Rows of token numbers (input_ids)",
        "Token numbers mean something in one tokenizer only, and nobody can read, judge or mend them. Upload the "
        "texts they were made of.",
    ),
    Code.CHAINS_TOO_LARGE: Explained(
        "Too many chained rows to be put together",
        "Rows linked by parent_id are held until their conversation is whole. Split the file between conversations, "
        "or write each conversation as one row of messages.",
    ),
    Code.MEMORY_LIMIT: Explained(
        "Reading needs more memory than the limit", "Write the file with smaller rows or row groups, or as JSONL."
    ),
}

# Said by whoever watches the reader, when the reader could not speak for itself.
MACHINE_CODES: dict[str, Explained] = {
    "crashed": Explained(
        "The reader crashed on this file",
        "The file is damaged in a way that breaks its reader. Write it again with another tool.",
    ),
    "killed": Explained("The reader was killed, most often for its memory", "Upload the file in parts."),
    "cpu_limit": Explained("Reading took more processor time than allowed", "Upload the file in parts."),
    "file_limit": Explained("The rows need more space than allowed", "Upload the file in parts."),
    "same_content": Explained("These rows are already a version of this dataset", "Nothing; use that version."),
    "infra_quarantined": Explained(
        "The worker was lost three times", "Look at the workers' logs, then read the file again."
    ),
    "cancelled": Explained("Cancelled on request", "Read the file again when you want its rows."),
}

EXPLAINED: dict[Code, Explained] = ROW_CODES | FILE_CODES

# Reading such a file again, with whatever format, ends the same way: its bytes need not be kept.
HOPELESS = frozenset(FILE_CODES) - {
    Code.NO_GOOD_ROWS,
    Code.FORMAT_UNKNOWN,
    Code.FORMAT_UNSUPPORTED,
    Code.UNPAIRED_ROWS,
    Code.STEPWISE_ROWS,
    Code.PROMPT_ONLY,
    Code.PRETOKENISED,
    Code.CHAINS_TOO_LARGE,
    Code.NO_ROWS_LEFT,
    Code.RECIPE_BREAKS_ROW,
}


def explain(code: str) -> Explained:
    """Title and advice of a code; an unknown one speaks for itself."""
    if code in MACHINE_CODES:
        return MACHINE_CODES[code]
    try:
        return EXPLAINED[Code(code)]
    except ValueError:
        return Explained(code.replace("_", " ").capitalize(), "")


def as_markdown() -> str:
    lines = [
        "# Codes of refused rows and files",
        "",
        "Written by `python -m datasets_app.domain.codes`; codes are stable, their wording may improve.",
        "",
    ]
    tables: dict[str, Mapping[str, Explained]] = {
        "Rows kept aside": {code.value: e for code, e in ROW_CODES.items()},
        "Files refused": {code.value: e for code, e in FILE_CODES.items()},
        "Readings that ended early": MACHINE_CODES,
    }
    for heading, table in tables.items():
        lines += [f"## {heading}", "", "| code | what it means | what to do |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {e.title} | {e.advice} |".replace("\\u", "\\\\u") for name, e in table.items()]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(), end="")
