"""How the product says no, in words fit for the person who asked."""


class Refused(Exception):
    """A refusal: what is not possible, why, and what to do next.

    `code` is stable and for programs, `field` names the input it is about, `status` is the HTTP answer.
    """

    status = 409
    code = "refused"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.field = field


class Invalid(Refused):
    """The input itself is wrong; sending it again unchanged cannot work."""

    status = 400
    code = "invalid"
