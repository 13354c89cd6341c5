"""The browsable description of the API."""

from typing import Any

from django.http import HttpRequest
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.response import Response

from config.middleware import CONTENT_SECURITY_POLICY


class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI. Its template has one inline style, which only this page allows; scripts stay strict."""

    def finalize_response(self, request: HttpRequest, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        policy = CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
        answer["Content-Security-Policy"] = policy
        return answer
