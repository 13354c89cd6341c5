"""Addresses of the evaluation pages, below /projects/<project>/."""

from django.urls import path

from evaluation import views

urlpatterns = [
    path("evaluations/", views.EvaluationList.as_view(), name="evaluation-list"),
    path("evaluations/new/", views.EvaluationCreate.as_view(), name="evaluation-create"),
    path("evaluations/<int:pk>/", views.EvaluationDetail.as_view(), name="evaluation-detail"),
    path("evaluations/<int:pk>/status/", views.EvaluationStatus.as_view(), name="evaluation-status"),
    path("evaluations/<int:pk>/cancel/", views.EvaluationCancel.as_view(), name="evaluation-cancel"),
    path("evaluations/<int:pk>/retry/", views.EvaluationRetry.as_view(), name="evaluation-retry"),
]
