"""API of a project: settings, people, tokens, budget, ledger, audit log."""

from django.urls import path

from projects.api.budget import BudgetDetail, BudgetRequestViewSet, HoldViewSet
from projects.api.events import EventTypeViewSet, EventViewSet, NotificationViewSet
from projects.api.ledger import EXPORT, LedgerViewSet
from projects.api.people import InvitationViewSet, MemberViewSet, TokenViewSet
from projects.api.projects import ProjectDetail
from projects.api.records import AuditViewSet
from projects.api.webhooks import DeliveryViewSet, WebhookViewSet
from projects.api.withdrawals import WithdrawalViewSet

urlpatterns = [
    path("", ProjectDetail.as_view({"get": "retrieve", "patch": "partial_update"}), name="api-project"),
    path("members/", MemberViewSet.as_view({"get": "list"}), name="api-members"),
    path(
        "members/<int:pk>/",
        MemberViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-member",
    ),
    path("invitations/", InvitationViewSet.as_view({"get": "list", "post": "create"}), name="api-invitations"),
    path("invitations/<int:pk>/", InvitationViewSet.as_view({"delete": "destroy"}), name="api-invitation"),
    path("tokens/", TokenViewSet.as_view({"get": "list", "post": "create"}), name="api-tokens"),
    path("tokens/<int:pk>/", TokenViewSet.as_view({"delete": "destroy"}), name="api-token"),
    path("ledger/", LedgerViewSet.as_view({"get": "list"}), name="api-ledger"),
    path("ledger/csv/", LedgerViewSet.as_view({"get": "csv"}, **EXPORT), name="api-ledger-csv"),
    path("ledger/focus/", LedgerViewSet.as_view({"get": "focus"}, **EXPORT), name="api-ledger-focus"),
    path("ledger/<int:pk>/", LedgerViewSet.as_view({"get": "retrieve"}), name="api-ledger-line"),
    path("ledger/<int:pk>/correct/", LedgerViewSet.as_view({"post": "correct"}), name="api-ledger-correct"),
    path("budget/", BudgetDetail.as_view({"get": "retrieve"}), name="api-budget"),
    path("holds/", HoldViewSet.as_view({"get": "list"}), name="api-holds"),
    path("budget-requests/", BudgetRequestViewSet.as_view({"get": "list"}), name="api-budget-requests"),
    path("budget-requests/<int:pk>/", BudgetRequestViewSet.as_view({"get": "retrieve"}), name="api-budget-request"),
    *[
        path(
            f"budget-requests/<int:pk>/{action}/",
            BudgetRequestViewSet.as_view({"post": action}),
            name=f"api-budget-request-{action}",
        )
        for action in ("approve", "decline", "withdraw")
    ],
    path("events/", EventViewSet.as_view({"get": "list"}), name="api-events"),
    path("event-types/", EventTypeViewSet.as_view({"get": "list"}), name="api-event-types"),
    path("webhooks/", WebhookViewSet.as_view({"get": "list", "post": "create"}), name="api-webhooks"),
    path(
        "webhooks/<int:pk>/",
        WebhookViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-webhook",
    ),
    *[
        path(f"webhooks/<int:pk>/{action}/", WebhookViewSet.as_view({"post": action}), name=f"api-webhook-{action}")
        for action in ("rotate", "ping", "pause", "resume")
    ],
    path(
        "webhooks/<int:endpoint>/deliveries/",
        DeliveryViewSet.as_view({"get": "list"}),
        name="api-webhook-deliveries",
    ),
    path(
        "webhooks/<int:endpoint>/deliveries/<int:pk>/",
        DeliveryViewSet.as_view({"get": "retrieve"}),
        name="api-webhook-delivery",
    ),
    path(
        "webhooks/<int:endpoint>/deliveries/<int:pk>/again/",
        DeliveryViewSet.as_view({"post": "again"}),
        name="api-webhook-delivery-again",
    ),
    path(
        "notifications/",
        NotificationViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="api-notifications",
    ),
    path("withdrawals/", WithdrawalViewSet.as_view({"get": "list", "post": "create"}), name="api-withdrawals"),
    path("withdrawals/<int:pk>/", WithdrawalViewSet.as_view({"get": "retrieve"}), name="api-withdrawal"),
    path("withdrawals/<int:pk>/lift/", WithdrawalViewSet.as_view({"post": "lift"}), name="api-withdrawal-lift"),
    path("audit/", AuditViewSet.as_view({"get": "list"}), name="api-audit"),
]
