"""Pages of datasets, uploads and versions."""

from django.urls import path

from datasets_app.views import datasets, uploads, versions

urlpatterns = [
    path("datasets/", datasets.DatasetList.as_view(), name="dataset-list"),
    path("datasets/new/", datasets.DatasetCreate.as_view(), name="dataset-create"),
    path("datasets/<int:pk>/", datasets.DatasetDetail.as_view(), name="dataset-detail"),
    path("datasets/<int:pk>/upload/", uploads.DatasetUpload.as_view(), name="dataset-upload"),
    path("datasets/<int:pk>/delete/", datasets.DatasetDelete.as_view(), name="dataset-delete"),
    path("uploads/<int:pk>/", uploads.UploadDetail.as_view(), name="upload-detail"),
    path("uploads/<int:pk>/read-again/", uploads.UploadReread.as_view(), name="upload-reread"),
    path("uploads/<int:pk>/cancel/", uploads.UploadCancel.as_view(), name="upload-cancel"),
    path("uploads/<int:pk>/bad-rows.<slug:kind>", uploads.UploadBadRows.as_view(), name="upload-bad-rows"),
    path("versions/<int:pk>/", versions.VersionDetail.as_view(), name="version-detail"),
    path("versions/<int:pk>/rows/", versions.VersionRows.as_view(), name="version-rows"),
    path("versions/<int:pk>/rows/<int:index>/", versions.RowDetail.as_view(), name="row-detail"),
    path("versions/<int:pk>/clean/", versions.VersionClean.as_view(), name="version-clean"),
]
