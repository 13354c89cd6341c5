"""Pages of a project that belong to no single craft: overview, costs, people, settings, audit."""

from django.urls import path

from projects.views import audit, budget, costs, ledger, notifications, overview, people, projects, tokens, webhooks

urlpatterns = [
    path("", overview.ProjectOverview.as_view(), name="project-overview"),
    path("costs/", costs.CostList.as_view(), name="cost-list"),
    path("costs/ledger/", ledger.LedgerList.as_view(), name="ledger-list"),
    path("costs/ledger.csv", ledger.LedgerExport.as_view(), name="ledger-export"),
    path("costs/focus.csv", ledger.FocusExport.as_view(), name="ledger-focus"),
    path("costs/ledger/<int:pk>/", ledger.LedgerLine.as_view(), name="ledger-line"),
    path("costs/ledger/<int:pk>/correct/", ledger.LedgerCorrect.as_view(), name="ledger-correct"),
    path("costs/requests/<int:pk>/", budget.BudgetRequestDetail.as_view(), name="budget-request"),
    path("costs/requests/<int:pk>/approve/", budget.BudgetRequestApprove.as_view(), name="budget-request-approve"),
    path("costs/requests/<int:pk>/decline/", budget.BudgetRequestDecline.as_view(), name="budget-request-decline"),
    path("costs/requests/<int:pk>/withdraw/", budget.BudgetRequestWithdraw.as_view(), name="budget-request-withdraw"),
    path("settings/", projects.SettingsDetail.as_view(), name="settings-detail"),
    path("leave/", projects.ProjectLeave.as_view(), name="project-leave"),
    path("members/", people.MemberList.as_view(), name="member-list"),
    path("members/<int:pk>/role/", people.MemberChange.as_view(), name="member-change"),
    path("members/<int:pk>/remove/", people.MemberRemove.as_view(), name="member-remove"),
    path("invitations/", people.InvitationCreate.as_view(), name="invitation-create"),
    path("invitations/<int:pk>/revoke/", people.InvitationRevoke.as_view(), name="invitation-revoke"),
    path("tokens/", tokens.TokenList.as_view(), name="token-list"),
    path("tokens/new/", tokens.TokenCreate.as_view(), name="token-create"),
    path("tokens/<int:pk>/revoke/", tokens.TokenRevoke.as_view(), name="token-revoke"),
    path("webhooks/", webhooks.WebhookList.as_view(), name="webhook-list"),
    path("webhooks/new/", webhooks.WebhookCreate.as_view(), name="webhook-create"),
    path("webhooks/events/", webhooks.EventCatalogue.as_view(), name="event-catalogue"),
    path("webhooks/<int:pk>/", webhooks.WebhookDetail.as_view(), name="webhook-detail"),
    path("webhooks/<int:pk>/change/", webhooks.WebhookChange.as_view(), name="webhook-change"),
    path("webhooks/<int:pk>/rotate/", webhooks.WebhookRotate.as_view(), name="webhook-rotate"),
    path("webhooks/<int:pk>/ping/", webhooks.WebhookPing.as_view(), name="webhook-ping"),
    path("webhooks/<int:pk>/pause/", webhooks.WebhookPause.as_view(), name="webhook-pause"),
    path("webhooks/<int:pk>/resume/", webhooks.WebhookResume.as_view(), name="webhook-resume"),
    path("webhooks/<int:pk>/delete/", webhooks.WebhookDelete.as_view(), name="webhook-delete"),
    path("webhooks/<int:pk>/deliveries/<int:delivery>/", webhooks.WebhookDelivery.as_view(), name="webhook-delivery"),
    path("webhooks/<int:pk>/deliveries/<int:delivery>/again/", webhooks.DeliveryAgain.as_view(), name="delivery-again"),
    path("notifications/", notifications.NotificationSettings.as_view(), name="notification-settings"),
    path("audit/", audit.AuditList.as_view(), name="audit-list"),
]
