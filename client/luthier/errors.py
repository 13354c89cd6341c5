"""How the command ends, as numbers that a script can ask for."""

DONE, FAILED, USAGE, REFUSED, UNREACHABLE, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class Stop(Exception):
    """Ends the command with a sentence and an exit code."""

    code = FAILED

    def __init__(self, message, code=None):
        super().__init__(message)
        self.message = message
        self.code = type(self).code if code is None else code


class Refusal(Stop):
    """The server said no: its code, its words, the field it is about."""

    code = REFUSED

    def __init__(self, status, body):
        self.status, self.reason = status, str(body.get("code", ""))
        self.body = body
        field = f" ({body['field']})" if body.get("field") else ""
        super().__init__(f"{self.reason}: {body.get('message', '')}{field}")


class Unreachable(Stop):
    code = UNREACHABLE
