"""API of a project: settings, people, tokens, ledger, audit log."""

from django.urls import path

from projects.api.people import InvitationViewSet, MemberViewSet, TokenViewSet
from projects.api.projects import ProjectDetail
from projects.api.records import AuditViewSet, LedgerViewSet

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
    path("audit/", AuditViewSet.as_view({"get": "list"}), name="api-audit"),
]
