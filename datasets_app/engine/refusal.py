"""The whole file cannot be used."""

from datasets_app.domain.codes import Code, explain


class FileRefused(Exception):
    """Ends the reading; nothing of the file becomes a version."""

    def __init__(self, code: Code, found: str = "") -> None:
        self.code = code
        self.found = found
        title, advice = explain(code)
        super().__init__(f"{title}{': ' + found if found else ''}. {advice}".strip())
