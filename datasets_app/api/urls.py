"""API addresses of datasets, uploads, versions and cleaning jobs."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from datasets_app.api import views
from datasets_app.api.views import changes, review

router = SimpleRouter()
router.register("datasets", views.DatasetViewSet, basename="api-dataset")
router.register("incoming", views.IncomingViewSet, basename="api-incoming")
router.register("uploads", views.UploadViewSet, basename="api-upload")
router.register("versions", views.VersionViewSet, basename="api-version")
router.register("builds", views.BuildViewSet, basename="api-build")
router.register("reviews", review.ReviewViewSet, basename="api-review")
router.register("review-items", review.ReviewItemViewSet, basename="api-review-item")
router.register("changes", changes.ProposalViewSet, basename="api-change")
router.register("recipes", changes.RecipeViewSet, basename="api-recipe")
router.register("text-searches", changes.TextSearchViewSet, basename="api-text-search")
urlpatterns = [
    path("versions/<int:pk>/export/", views.ExportViewSet.as_view({"get": "retrieve"}), name="api-version-export"),
    *router.urls,
]
