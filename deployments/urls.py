"""Pages of reviews and deployments, and the lineage."""

from django.urls import path

from deployments.views import lineage, requests, slots

urlpatterns = [
    path("deployments/", slots.DeploymentList.as_view(), name="deployment-list"),
    path("deployments/slots/new/", slots.SlotCreate.as_view(), name="slot-create"),
    path("deployments/slots/<int:pk>/", slots.SlotDetail.as_view(), name="slot-detail"),
    path("deployments/slots/<int:pk>/status/", slots.SlotStatus.as_view(), name="slot-status"),
    path("deployments/slots/<int:pk>/rollback/", slots.SlotRollback.as_view(), name="slot-rollback"),
    path("deployments/requests/new/", requests.RequestCreate.as_view(), name="request-create"),
    path("deployments/requests/preview/", requests.RequestPreview.as_view(), name="request-preview"),
    path("deployments/requests/<int:pk>/", requests.RequestDetail.as_view(), name="request-detail"),
    path("deployments/requests/<int:pk>/status/", requests.RequestStatus.as_view(), name="request-status"),
    path("deployments/requests/<int:pk>/comment/", requests.RequestComment.as_view(), name="request-comment"),
    path("deployments/requests/<int:pk>/decide/", requests.RequestDecide.as_view(), name="request-decide"),
    path("deployments/requests/<int:pk>/withdraw/", requests.RequestWithdraw.as_view(), name="request-withdraw"),
    path("deployments/requests/<int:pk>/resubmit/", requests.RequestResubmit.as_view(), name="request-resubmit"),
    path("deployments/requests/<int:pk>/deploy/", requests.RequestDeploy.as_view(), name="request-deploy"),
    path("lineage/", lineage.Lineage.as_view(), name="lineage"),
    path("lineage/export/<str:form>/", lineage.LineageExport.as_view(), name="lineage-export"),
    path("lineage/compare/", lineage.LineageCompare.as_view(), name="lineage-compare"),
    path("lineage/versions/<int:pk>/rows/<int:index>/", lineage.LineageRow.as_view(), name="lineage-row"),
]
