"""Addresses of the evaluation pages, below /projects/<project>/."""

from django.urls import path

from evaluation.views import compatibility, derived, evaluations

PAIR = "compatibility/<int:adapter>/<int:base>/"

urlpatterns = [
    path("evaluations/", evaluations.EvaluationList.as_view(), name="evaluation-list"),
    path("evaluations/new/", evaluations.EvaluationCreate.as_view(), name="evaluation-create"),
    path("evaluations/<int:pk>/", evaluations.EvaluationDetail.as_view(), name="evaluation-detail"),
    path("evaluations/<int:pk>/status/", evaluations.EvaluationStatus.as_view(), name="evaluation-status"),
    path("evaluations/<int:pk>/cancel/", evaluations.EvaluationCancel.as_view(), name="evaluation-cancel"),
    path("evaluations/<int:pk>/retry/", evaluations.EvaluationRetry.as_view(), name="evaluation-retry"),
    path("compatibility/", compatibility.Matrix.as_view(), name="compatibility"),
    path(PAIR, compatibility.PairDetail.as_view(), name="compatibility-pair"),
    path(f"{PAIR}probe/", compatibility.PairProbe.as_view(), name="compatibility-probe"),
    path(f"{PAIR}decide/", compatibility.PairDecide.as_view(), name="compatibility-decide"),
    path("probes/<int:pk>/status/", compatibility.ProbeStatus.as_view(), name="probe-status"),
    path("probes/<int:pk>/cancel/", compatibility.ProbeCancel.as_view(), name="probe-cancel"),
    path("probes/<int:pk>/retry/", compatibility.ProbeRetry.as_view(), name="probe-retry"),
    path("adapters/<int:pk>/models/", derived.DerivedPanel.as_view(), name="derived-panel"),
    path("adapters/<int:pk>/models/evaluate/", derived.DerivedEvaluateAll.as_view(), name="derived-evaluate-all"),
    path("models/<int:pk>/", derived.DerivedDetail.as_view(), name="derived-detail"),
    path("models/<int:pk>/evaluate/", derived.DerivedEvaluate.as_view(), name="derived-evaluate"),
    path("comparisons/<int:pk>/", derived.EquivalenceDetail.as_view(), name="equivalence-detail"),
    path("comparisons/<int:pk>/status/", derived.EquivalenceStatus.as_view(), name="equivalence-status"),
    path("comparisons/<int:pk>/cancel/", derived.EquivalenceCancel.as_view(), name="equivalence-cancel"),
    path("comparisons/<int:pk>/retry/", derived.EquivalenceRetry.as_view(), name="equivalence-retry"),
]
