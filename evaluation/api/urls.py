"""Addresses of the evaluation API, below /api/v1/projects/<project>/."""

from rest_framework.routers import SimpleRouter

from evaluation.api.views import EvaluationViewSet

router = SimpleRouter()
router.register("evaluations", EvaluationViewSet, basename="api-evaluation")
urlpatterns = router.urls
