"""Addresses of the OpenAI API, below /openai/v1; without slashes at their ends, as its clients write them."""

from typing import Any

from django.urls import path, re_path

from training.api.openai.base import UnknownUrl
from training.api.openai.files import FileViewSet
from training.api.openai.jobs import JobViewSet
from training.api.openai.models import ModelViewSet

JOB = "fine_tuning/jobs/<str:job_id>"
ALL: Any = dict.fromkeys(("get", "post", "put", "patch", "delete"), "retrieve")

urlpatterns = [
    path("files", FileViewSet.as_view({"get": "list", "post": "create"}), name="openai-files"),
    path("files/<str:file_id>", FileViewSet.as_view({"get": "retrieve", "delete": "destroy"}), name="openai-file"),
    path("files/<str:file_id>/content", FileViewSet.as_view({"get": "content"}), name="openai-file-content"),
    path("fine_tuning/jobs", JobViewSet.as_view({"get": "list", "post": "create"}), name="openai-jobs"),
    path(JOB, JobViewSet.as_view({"get": "retrieve"}), name="openai-job"),
    *[path(f"{JOB}/{name}", JobViewSet.as_view({"post": name}), name=f"openai-job-{name}")
      for name in ("cancel", "pause", "resume")],
    *[path(f"{JOB}/{name}", JobViewSet.as_view({"get": name}), name=f"openai-job-{name}")
      for name in ("events", "checkpoints")],
    path("models", ModelViewSet.as_view({"get": "list"}), name="openai-models"),
    path("models/<path:model>", ModelViewSet.as_view({"get": "retrieve", "delete": "destroy"}), name="openai-model"),
    re_path(r"^.*$", UnknownUrl.as_view(ALL), name="openai-unknown"),
]  # fmt: skip
