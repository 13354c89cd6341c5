"""Addresses of the training API, below a project."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from training.api import bases, derived, imports, projections, retraining, seen, specs, sweeps, views

router = SimpleRouter(use_regex_path=False)
router.register("bases", bases.BaseViewSet, basename="api-base")
router.register("runs", views.RunViewSet, basename="api-run")
router.register("sweeps", sweeps.SweepViewSet, basename="api-sweep")
router.register("rehearsals", projections.RehearsalViewSet, basename="api-rehearsal")
router.register("projections", projections.ProjectionRecordViewSet, basename="api-projection")
router.register("adapter-imports", imports.AdapterImportViewSet, basename="api-adapter-import")
router.register("derived-models", derived.DerivedModelViewSet, basename="api-derived-model")
router.register("adapters", views.AdapterViewSet, basename="api-adapter")

urlpatterns = [
    *router.urls,
    path("retraining/", retraining.RetrainingViewSet.as_view({"get": "list"}), name="api-retraining"),
    path("specs/", specs.SpecViewSet.as_view({"post": "create"}), name="api-specs"),
    path(
        "versions/<int:version>/tokens/",
        seen.TokensViewSet.as_view({"get": "retrieve", "post": "create"}),
        name="api-version-tokens",
    ),
    path(
        "versions/<int:version>/seen/",
        seen.SeenViewSet.as_view({"get": "retrieve", "post": "create"}),
        name="api-version-seen",
    ),
    path(
        "versions/<int:version>/drop-lost/",
        seen.DropLostViewSet.as_view({"post": "create"}),
        name="api-version-drop-lost",
    ),
]
