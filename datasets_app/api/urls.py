"""API addresses of datasets, uploads, versions and cleaning jobs."""

from rest_framework.routers import SimpleRouter

from datasets_app.api import views

router = SimpleRouter()
router.register("datasets", views.DatasetViewSet, basename="api-dataset")
router.register("uploads", views.UploadViewSet, basename="api-upload")
router.register("versions", views.VersionViewSet, basename="api-version")
router.register("builds", views.BuildViewSet, basename="api-build")
urlpatterns = router.urls
