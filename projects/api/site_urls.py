"""API outside any project: who I am, my projects, the hosts that work and what waits for them."""

from django.urls import path

from projects.api.projects import Me, MyProjects
from projects.api.workers import QueueViewSet, WorkerViewSet

urlpatterns = [
    path("me/", Me.as_view(), name="api-me"),
    path("projects/", MyProjects.as_view({"get": "list", "post": "create"}), name="api-projects"),
    path("workers/", WorkerViewSet.as_view({"get": "list"}), name="api-workers"),
    path("workers/<int:pk>/", WorkerViewSet.as_view({"delete": "destroy"}), name="api-worker"),
    path("workers/<int:pk>/drain/", WorkerViewSet.as_view({"post": "drain"}), name="api-worker-drain"),
    path("workers/<int:pk>/resume/", WorkerViewSet.as_view({"post": "resume"}), name="api-worker-resume"),
    path("queues/", QueueViewSet.as_view({"get": "list"}), name="api-queues"),
]
