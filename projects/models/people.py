"""Members, invitations and API tokens: how people and programs get into a project."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from projects.domain.permissions import Role
from projects.models.project import Project

ROLES = [(role.value, role.value.title()) for role in Role]
SCOPES = [("read", "Read"), ("write", "Read and write")]


class Membership(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=ROLES)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_role_per_project")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} in {self.project}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> "InvitationQuerySet":
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())


class Invitation(models.Model):
    """A link that makes whoever follows it a member, once. Only the hash of its secret is stored."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="invitations")
    email = models.EmailField(blank=True, help_text="Leave empty for a link that anyone may use once.")
    role = models.CharField(max_length=20, choices=ROLES)
    secret_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="accepted_by_and_at_together",
                condition=Q(accepted_by=None, accepted_at=None)
                | Q(accepted_by__isnull=False, accepted_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"invitation of {self.email or 'anyone'} as {self.role}"


class TokenQuerySet(models.QuerySet["ApiToken"]):
    def live(self) -> "TokenQuerySet":
        return self.filter(revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True)


class ApiToken(models.Model):
    """A program's key to one project, never wider than the rights its owner has at that moment."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="tokens")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    start = models.CharField(max_length=12, help_text="First characters, to recognise it by.")
    token_hash = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=SCOPES)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = TokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"token {self.name}"

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()
