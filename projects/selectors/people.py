"""Reads about members, invitations, tokens and a person's projects."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, DecimalField, F, IntegerField, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from projects.domain.permissions import GRANTS, Permission, Role
from projects.models import ApiToken, Invitation, LedgerEntry, Membership, Project
from projects.selectors.costs import month_start

_RANK = Case(
    *[When(role=role.value, then=Value(rank)) for rank, role in enumerate(Role)],
    default=Value(len(Role)),
    output_field=IntegerField(),
)


def members(project: Project) -> QuerySet[Membership]:
    """Owners first, then by name."""
    found = Membership.objects.filter(project=project).select_related("user", "project")
    return found.annotate(rank=_RANK).order_by("rank", "user__name", "user__email")


def open_invitations(project: Project) -> QuerySet[Invitation]:
    return Invitation.objects.open().filter(project=project).select_related("invited_by").order_by("-pk")


def tokens(project: Project, *, seen_by: Any, everyone: bool) -> QuerySet[ApiToken]:
    """One's own tokens, or everybody's for those who manage members; the living ones first."""
    found = ApiToken.objects.filter(project=project).select_related("user", "project")
    if not everyone:
        found = found.filter(user=seen_by)
    return found.order_by(F("revoked_at").desc(nulls_first=True), "-pk")


def projects_of(user: Any, now: datetime) -> QuerySet[Project]:
    """A person's projects with their role, the number of members and this month's costs."""
    mine = Membership.objects.filter(project=OuterRef("pk"), user=user)
    size = Membership.objects.filter(project=OuterRef("pk")).order_by().values("project")
    lines = LedgerEntry.objects.filter(project=OuterRef("pk"), ended_at__gte=month_start(now))
    costs = lines.order_by().values("project").annotate(sum=Sum("amount")).values("sum")
    money = DecimalField(max_digits=14, decimal_places=6)
    return (
        Project.objects.visible_to(user)
        .annotate(
            my_role=Subquery(mine.values("role")),
            people=Subquery(size.annotate(n=Count("pk")).values("n"), output_field=IntegerField()),
            month_costs=Coalesce(Subquery(costs, output_field=money), Decimal(0), output_field=money),
        )
        .order_by("name")
    )


RIGHTS = {
    Permission.PROJECT_VIEW: "See everything in the project",
    Permission.TOKEN_CREATE: "Make API tokens",
    Permission.AUDIT_VIEW: "Read the audit log",
    Permission.DATASET_EDIT: "Upload and clean datasets",
    Permission.DATASET_DELETE: "Delete datasets",
    Permission.BASE_REGISTER: "Register base models",
    Permission.RUN_START: "Start runs",
    Permission.RUN_CANCEL: "Cancel runs",
    Permission.ADAPTER_DELETE: "Delete adapters",
    Permission.EVALUATION_START: "Start evaluations",
    Permission.DEPLOYMENT_REQUEST: "Ask for deployment",
    Permission.DEPLOYMENT_COMMENT: "Comment on requests",
    Permission.DEPLOYMENT_DECIDE: "Approve or reject requests",
    Permission.DEPLOYMENT_DEPLOY: "Deploy and roll back",
    Permission.SLOT_MANAGE: "Manage deployment slots",
    Permission.BUDGET_APPROVE: "Say yes beyond the budget",
    Permission.LEDGER_CORRECT: "Correct the ledger",
    Permission.WEBHOOK_USE: "See webhooks, test them, send again",
    Permission.WEBHOOK_MANAGE: "Make and change webhooks",
    Permission.MEMBER_MANAGE: "Invite, change and remove members",
    Permission.PROJECT_MANAGE: "Change settings and prices",
}


def rights() -> list[tuple[str, str, list[bool]]]:
    """The table of roles and permissions as a page shows it: (words, name, granted to each role)."""
    return [(RIGHTS[right], right.value, [right in GRANTS[role] for role in Role]) for right in RIGHTS]
