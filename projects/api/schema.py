"""OpenAPI: adds the refusals that every operation may answer with."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from projects.api.serializers import ErrorSerializer

ALWAYS = {"400": "Invalid input", "401": "Not signed in", "403": "Not allowed", "404": "Not found"}
WRITES = ALWAYS | {"409": "Refused", "413": "Too large", "415": "Unsupported media type"}


class Schema(AutoSchema):
    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        extra = ALWAYS if self.method == "GET" else WRITES
        for status, description in extra.items():
            bodies.setdefault(
                status, self._get_response_for_code(ErrorSerializer, status) | {"description": description}
            )
        return bodies


class TokenScheme(OpenApiAuthenticationExtension):
    """How the description names our tokens."""

    target_class = "projects.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "lut_…"}
