"""Pages of a project that belong to no single craft: overview, costs, people, settings, audit."""

from django.urls import path

from projects.views import audit, costs, overview, people, projects, tokens

urlpatterns = [
    path("", overview.ProjectOverview.as_view(), name="project-overview"),
    path("costs/", costs.CostList.as_view(), name="cost-list"),
    path("costs/ledger.csv", costs.CostExport.as_view(), name="cost-export"),
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
    path("audit/", audit.AuditList.as_view(), name="audit-list"),
]
