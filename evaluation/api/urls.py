"""Addresses of the evaluation API, below /api/v1/projects/<project>/."""

from rest_framework.routers import SimpleRouter

from evaluation.api.compatibility import BaseDecisionViewSet, CompatibilityViewSet, ProbeViewSet
from evaluation.api.equivalences import EquivalenceViewSet
from evaluation.api.views import EvaluationViewSet

router = SimpleRouter()
router.register("evaluations", EvaluationViewSet, basename="api-evaluation")
router.register("compatibility", CompatibilityViewSet, basename="api-compatibility")
router.register("probes", ProbeViewSet, basename="api-probe")
router.register("base-decisions", BaseDecisionViewSet, basename="api-base-decision")
router.register("equivalences", EquivalenceViewSet, basename="api-equivalence")
urlpatterns = router.urls
