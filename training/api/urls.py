"""Addresses of the training API, below a project."""

from rest_framework.routers import SimpleRouter

from training.api import views

router = SimpleRouter(use_regex_path=False)
router.register("bases", views.BaseViewSet, basename="api-base")
router.register("runs", views.RunViewSet, basename="api-run")
router.register("adapters", views.AdapterViewSet, basename="api-adapter")

urlpatterns = router.urls
