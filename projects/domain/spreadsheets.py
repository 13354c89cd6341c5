"""Text that is safe in a spreadsheet: a cell must never become a formula in the reader's office program."""

# Excel, LibreOffice and Google Sheets start a formula with these, also after white space and in their wide forms.
TRIGGERS = frozenset("=+-@|%＝＋－＠")
CONTROL = "\t\r\n\0"


def safe_cell(text: str) -> str:
    """`text`, with an apostrophe before it when a spreadsheet could take it for a formula."""
    if (text[:1] in CONTROL and text) or text.lstrip()[:1] in TRIGGERS:
        return "'" + text.replace("\0", "")
    return text.replace("\0", "")
