"""JSON as the API reads it: strictly, and without falling over what only looks like JSON."""

from typing import Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser


class StrictJSONParser(JSONParser):
    """No NaN, no halves of surrogate pairs, no nesting without end: each is 400, never a 500 further in."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(f"This is not JSON: {error}.") from error


class BytesParser(BaseParser):
    """The body as it comes, as a stream: it is never held in memory as a whole."""

    media_type = "application/octet-stream"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream
