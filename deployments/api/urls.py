"""Addresses of the deployments API, below a project."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from deployments.api import lineage, upgrades, views

router = SimpleRouter(use_regex_path=False)
router.register("slots", views.SlotViewSet, basename="api-slot")
router.register("requests", views.RequestViewSet, basename="api-request")
router.register("deployments", views.DeploymentViewSet, basename="api-deployment")
router.register("upgrades", upgrades.UpgradeViewSet, basename="api-upgrade")
router.register("successions", upgrades.SuccessionViewSet, basename="api-succession")

PAIR = "upgrades/from/<int:old>/to/<int:new>/"

urlpatterns = [
    *router.urls,
    path("upgrades/pairs/", upgrades.PairViewSet.as_view({"get": "list"}), name="api-upgrade-pairs"),
    path(PAIR, upgrades.PairViewSet.as_view({"get": "plan"}), name="api-upgrade-plan"),
    path(f"{PAIR}report/", upgrades.PairViewSet.as_view({"get": "report"}), name="api-upgrade-report"),
    path(
        f"{PAIR}report/markdown/",
        upgrades.PairViewSet.as_view({"get": "markdown"}),
        name="api-upgrade-report-markdown",
    ),
    path("lineage/", lineage.LineageViewSet.as_view({"get": "list"}), name="api-lineage-list"),
    path("lineage/prov/", lineage.LineageViewSet.as_view({"get": "prov"}), name="api-lineage-prov"),
    path("lineage/live/", lineage.LineageViewSet.as_view({"get": "live"}), name="api-lineage-live"),
    path("lineage/compare/", lineage.LineageViewSet.as_view({"get": "compare"}), name="api-lineage-compare"),
    path("lineage/nodes/<str:node>/", lineage.LineageViewSet.as_view({"get": "node"}), name="api-lineage-node"),
    path(
        "lineage/nodes/<str:node>/impact/",
        lineage.LineageViewSet.as_view({"get": "impact"}),
        name="api-lineage-impact",
    ),
    path(
        "lineage/versions/<int:version>/rows/<int:row>/",
        lineage.LineageViewSet.as_view({"get": "row"}),
        name="api-lineage-row",
    ),
]
