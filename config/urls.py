"""Every address: pages under /projects/<project>/, the API under /api/v1/."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from config.docs import ApiDocs

APPS = ["projects", "datasets_app", "training", "evaluation", "deployments"]

urlpatterns = [
    path("", include("projects.site_urls")),
    *[path("projects/<slug:project>/", include(f"{app}.urls")) for app in APPS],
    path("api/v1/", include("projects.api.site_urls")),
    *[path("api/v1/projects/<slug:project>/", include(f"{app}.api.urls")) for app in APPS],
    path("openai/v1/", include("training.api.openai.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", ApiDocs.as_view(url_name="api-schema"), name="api-docs"),
]

handler403 = "projects.views.errors.forbidden"
handler404 = "projects.views.errors.not_found"
handler500 = "projects.views.errors.broken"
