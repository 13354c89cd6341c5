"""Every answer carries the strict headers, unless its view has set its own."""

from django.http import HttpResponse
from django.test import RequestFactory

from config.middleware import CONTENT_SECURITY_POLICY, SecurityHeadersMiddleware


def answer(response):
    return SecurityHeadersMiddleware(lambda request: response)(RequestFactory().get("/"))


def test_nothing_inline_and_nothing_foreign_is_allowed():
    policy = answer(HttpResponse())["Content-Security-Policy"]
    assert policy == CONTENT_SECURITY_POLICY
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_view_may_set_its_own_policy():
    response = answer(HttpResponse(headers={"Content-Security-Policy": "default-src 'self'"}))
    assert response["Content-Security-Policy"] == "default-src 'self'"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
