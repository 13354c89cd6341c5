"""What the engine cannot do, in words fit for people, with a code that stays the same."""


class Failure(Exception):
    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.detail = code, message, detail
