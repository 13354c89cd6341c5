"""Pages of reviews and deployments, and the lineage."""

from django.urls import path

from deployments.views import lineage, requests, slots, upgrades

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
    path("upgrades/", upgrades.UpgradeList.as_view(), name="upgrade-list"),
    path("upgrades/successors/", upgrades.SuccessorDeclare.as_view(), name="successor-declare"),
    path("upgrades/successors/<int:pk>/withdraw/", upgrades.SuccessorWithdraw.as_view(), name="successor-withdraw"),
    path("upgrades/from/<int:old>/to/<int:new>/", upgrades.UpgradePlan.as_view(), name="upgrade-plan"),
    path("upgrades/from/<int:old>/to/<int:new>/start/", upgrades.UpgradeStart.as_view(), name="upgrade-start"),
    path("upgrades/from/<int:old>/to/<int:new>/report/", upgrades.UpgradeReport.as_view(), name="upgrade-report"),
    path(
        "upgrades/from/<int:old>/to/<int:new>/report/<str:form>/",
        upgrades.UpgradeReportFile.as_view(),
        name="upgrade-report-file",
    ),
    path("upgrades/<int:pk>/", upgrades.UpgradeDetail.as_view(), name="upgrade-detail"),
    path("upgrades/<int:pk>/status/", upgrades.UpgradeStatus.as_view(), name="upgrade-status"),
    path("upgrades/<int:pk>/pause/", upgrades.UpgradePause.as_view(), name="upgrade-pause"),
    path("upgrades/<int:pk>/resume/", upgrades.UpgradeResume.as_view(), name="upgrade-resume"),
    path("upgrades/<int:pk>/cancel/", upgrades.UpgradeCancel.as_view(), name="upgrade-cancel"),
    path("upgrades/<int:pk>/delete/", upgrades.UpgradeDelete.as_view(), name="upgrade-delete"),
    path("lineage/", lineage.Lineage.as_view(), name="lineage"),
    path("lineage/export/<str:form>/", lineage.LineageExport.as_view(), name="lineage-export"),
    path("lineage/compare/", lineage.LineageCompare.as_view(), name="lineage-compare"),
    path("lineage/versions/<int:pk>/rows/<int:index>/", lineage.LineageRow.as_view(), name="lineage-row"),
]
