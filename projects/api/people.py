"""Members, invitations and tokens over the API."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.response import Response

from projects import access
from projects.api import errors
from projects.api.serializers import ReasonSerializer, StrictModelSerializer, StrictSerializer
from projects.api.views import ProjectViewSet
from projects.domain import policies
from projects.domain.permissions import Permission
from projects.domain.tokens import Scope
from projects.models import ApiToken, Invitation, Membership
from projects.models.people import SCOPES
from projects.selectors import people as selectors
from projects.services import invitations, people, tokens


class MemberSerializer(StrictModelSerializer):
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)
    reason = serializers.CharField(max_length=2000, required=False, write_only=True)

    class Meta:
        model = Membership
        fields = ["id", "email", "name", "role", "created_at", "reason"]
        read_only_fields = ["id", "created_at"]


class InvitationSerializer(StrictModelSerializer):
    email = serializers.EmailField(required=False, default="", allow_blank=True)
    invited_by = serializers.EmailField(source="invited_by.email", read_only=True)

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "invited_by", "created_at", "expires_at"]
        read_only_fields = ["id", "created_at", "expires_at"]


class InvitationMadeSerializer(InvitationSerializer):
    link = serializers.URLField(read_only=True, help_text="Shown only now.")

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link"]


class TokenSerializer(StrictModelSerializer):
    user = serializers.EmailField(source="user.email", read_only=True)

    class Meta:
        model = ApiToken
        fields = ["id", "name", "start", "scope", "user", "created_at", "expires_at", "last_used_at", "revoked_at"]
        read_only_fields = fields


class TokenMadeSerializer(TokenSerializer):
    token = serializers.CharField(read_only=True, help_text="Shown only now.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]
        read_only_fields = fields


class NewTokenSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100)
    scope = serializers.ChoiceField(choices=SCOPES, default=Scope.READ.value)
    days = serializers.IntegerField(min_value=1, max_value=policies.MAX_TOKEN_DAYS, default=policies.TOKEN_DAYS)


class ShowsSecret:
    """Creation whose answer holds a secret: it is stored nowhere, so it cannot be given a second time."""

    def refuse_key(self, request: Any) -> Response | None:
        if "Idempotency-Key" not in request.headers:
            return None
        message = "This answer holds a secret that is shown once, so it cannot be repeated. Leave the key out."
        return errors.answer("not_repeatable", message, status.HTTP_400_BAD_REQUEST)


class MemberViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Who belongs to the project, and as what."""

    queryset = Membership.objects.select_related("user", "project")
    serializer_class = MemberSerializer
    services = {"partial_update": people.change_role, "destroy": people.remove_member}

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(project=getattr(self, "project", None))

    def partial_update(self, request: Any, **kwargs: Any) -> Response:
        """Give a member another role."""
        member = self.get_object()
        given = self.get_serializer(member, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        wanted = {"role": member.role} | given.validated_data
        changed = self.services["partial_update"](member, by=request.user, **wanted)
        return Response(self.get_serializer(changed).data)

    @extend_schema(parameters=[ReasonSerializer], responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Remove a member; their tokens for the project end."""
        self.services["destroy"](
            self.get_object(), by=request.user, reason=request.query_params.get("reason", "")[:2000]
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    known_filters = ("reason",)


class InvitationViewSet(ShowsSecret, mixins.ListModelMixin, ProjectViewSet):
    """Open invitations."""

    queryset = Invitation.objects.open().select_related("invited_by", "project")
    serializer_class = InvitationSerializer
    permission = Permission.MEMBER_MANAGE
    services = {"create": invitations.invite_member, "destroy": invitations.revoke_invitation}

    def get_queryset(self) -> Any:
        return Invitation.objects.open().filter(project=getattr(self, "project", None)).select_related("invited_by")

    @extend_schema(responses={201: InvitationMadeSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Make a link for one person. Takes no Idempotency-Key: the link is shown once."""
        if refusal := self.refuse_key(request):
            return refusal
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        made, secret = self.services["create"](self.project, by=request.user, **given.validated_data)
        made.link = request.build_absolute_uri(reverse("invitation-accept", args=[secret]))
        return Response(InvitationMadeSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Revoke an invitation: its link stops working."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(list=extend_schema(description="Your tokens for this project; an owner sees everybody's."))
class TokenViewSet(ShowsSecret, mixins.ListModelMixin, ProjectViewSet):
    """API tokens. Making and revoking them needs a signed-in person."""

    queryset = ApiToken.objects.select_related("user", "project")
    serializer_class = TokenSerializer
    permission = Permission.TOKEN_CREATE
    services = {"create": tokens.create_token, "destroy": tokens.revoke_token}

    def get_queryset(self) -> Any:
        if not hasattr(self, "project"):
            return super().get_queryset()
        everyone = access.may(self.request.user, Permission.MEMBER_MANAGE, self.project)
        return selectors.tokens(self.project, seen_by=self.request.user, everyone=everyone)

    @extend_schema(request=NewTokenSerializer, responses={201: TokenMadeSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Make a token. Takes no Idempotency-Key: the token is shown once."""
        if refusal := self.refuse_key(request):
            return refusal
        given = NewTokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made, secret = self.services["create"](self.project, by=request.user, **given.validated_data)
        made.token = secret
        return Response(TokenMadeSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Revoke a token at once."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
