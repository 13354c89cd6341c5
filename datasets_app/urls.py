"""Pages of datasets, uploads and versions."""

from django.urls import path

from datasets_app.views import datasets, review, uploads, versions

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
    path("reviews/", review.ReviewList.as_view(), name="review-list"),
    path("versions/<int:pk>/reviews/", review.VersionReviews.as_view(), name="version-reviews"),
    path("versions/<int:pk>/reviews/new/", review.ReviewCreate.as_view(), name="review-create"),
    path("reviews/<int:pk>/", review.ReviewDetail.as_view(), name="review-detail"),
    path("reviews/<int:pk>/queue/", review.ReviewQueue.as_view(), name="review-queue"),
    path("reviews/<int:pk>/take/", review.ReviewTake.as_view(), name="review-take"),
    path("reviews/<int:pk>/assign/", review.ReviewAssign.as_view(), name="review-assign"),
    path("reviews/<int:pk>/disputes/", review.ReviewDisputes.as_view(), name="review-disputes"),
    path("reviews/<int:pk>/items/<int:item>/rule/", review.ReviewRule.as_view(), name="review-rule"),
    path("reviews/<int:pk>/close/", review.ReviewClose.as_view(), name="review-close"),
    path("reviews/<int:pk>/reopen/", review.ReviewReopen.as_view(), name="review-reopen"),
    path("reviews/<int:pk>/discard/", review.ReviewDiscard.as_view(), name="review-discard"),
]
