"""Addresses of the deployments API, below a project."""

from rest_framework.routers import SimpleRouter

from deployments.api import views

router = SimpleRouter(use_regex_path=False)
router.register("slots", views.SlotViewSet, basename="api-slot")
router.register("requests", views.RequestViewSet, basename="api-request")
router.register("deployments", views.DeploymentViewSet, basename="api-deployment")
router.register("lineage", views.LineageViewSet, basename="api-lineage")

urlpatterns = router.urls
