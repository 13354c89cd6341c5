"""API outside any project: who I am, and my projects."""

from django.urls import path

from projects.api.projects import Me, MyProjects

urlpatterns = [
    path("me/", Me.as_view(), name="api-me"),
    path("projects/", MyProjects.as_view({"get": "list", "post": "create"}), name="api-projects"),
]
