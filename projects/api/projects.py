"""Who I am, my projects, and one project's settings over the API."""

from typing import Any

from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from projects.api.serializers import StrictModelSerializer
from projects.api.views import Idempotent, ProjectViewSet, known_only
from projects.domain import money
from projects.domain.permissions import GRANTS, Permission, Role
from projects.models import Membership, Project
from projects.models.people import ROLES
from projects.services import projects as services

PRICES = [
    "gpu_hour_price",
    "cpu_hour_price",
    "people_hour_price",
    "monthly_budget",
    "stop_at_budget",
    "storage_quota_bytes",
]
DATA = ["review_data_changes", "max_synthetic_share", "max_synthetic_depth"]


class ProjectSerializer(StrictModelSerializer):
    currency = serializers.ChoiceField(choices=money.CURRENCIES, required=False)

    class Meta:
        model = Project
        fields = ["slug", "name", "description", "currency", *PRICES, *DATA, "created_at"]
        read_only_fields = ["slug", "created_at"]


class NewProjectSerializer(ProjectSerializer):
    class Meta(ProjectSerializer.Meta):
        fields = ["name", "description", "currency"]


class SettingsSerializer(ProjectSerializer):
    reason = serializers.CharField(max_length=2000, required=False, write_only=True)

    class Meta(ProjectSerializer.Meta):
        fields = [*ProjectSerializer.Meta.fields, "reason"]


class MyRoleSerializer(serializers.Serializer):
    slug = serializers.CharField(source="project.slug")
    name = serializers.CharField(source="project.name")
    role = serializers.ChoiceField(choices=ROLES)
    permissions = serializers.SerializerMethodField()

    def get_permissions(self, membership: Membership) -> list[str]:
        return sorted(permission.value for permission in GRANTS[Role(membership.role)])


class MeSerializer(serializers.Serializer):
    email = serializers.EmailField()
    name = serializers.CharField()
    projects = MyRoleSerializer(many=True)


class Me(APIView):
    """Who is calling, and what they may do in which project. A token sees its own project only."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=MeSerializer)
    def get(self, request: Any) -> Response:
        roles = Membership.objects.filter(user=request.user).select_related("project").order_by("project__name")
        if request.auth is not None:
            roles = roles.filter(project=request.auth.project)
        me = {"email": request.user.email, "name": request.user.name, "projects": roles}
        return Response(MeSerializer(me).data)


class MyProjects(Idempotent, mixins.ListModelMixin, GenericViewSet):
    """The projects of whoever is calling."""

    permission_classes = [IsAuthenticated]
    serializer_class = ProjectSerializer
    queryset = Project.objects.all()

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known_only(request)

    def get_queryset(self) -> Any:
        mine = Project.objects.visible_to(self.request.user) if self.request else Project.objects.all()
        token = getattr(self.request, "auth", None)
        return mine.filter(pk=token.project_id) if token is not None else mine

    @extend_schema(request=NewProjectSerializer, responses={201: ProjectSerializer})
    def create(self, request: Any) -> Response:
        """Make a project and become its owner. Needs a signed-in person: a token is bound to its one project."""
        if request.auth is not None:
            raise PermissionDenied("A token may not make projects. Sign in and do it yourself.")
        given = NewProjectSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return self.create_once(request, lambda: self.made(request, given.validated_data))

    def made(self, request: Any, wanted: dict[str, Any]) -> Response:
        project = services.create_project(by=request.user, **wanted)
        return Response(ProjectSerializer(project).data, status=status.HTTP_201_CREATED)


class ProjectDetail(ProjectViewSet):
    """Name, prices and budget of one project."""

    serializer_class = SettingsSerializer
    permission = Permission.PROJECT_VIEW
    services = {"partial_update": services.change_settings}

    @extend_schema(responses=ProjectSerializer)
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        return Response(ProjectSerializer(self.project).data)

    @extend_schema(responses=ProjectSerializer)
    def partial_update(self, request: Any, **kwargs: Any) -> Response:
        """Change what is given and leave the rest."""
        given = self.get_serializer(self.project, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        changed = self.services["partial_update"](self.project, by=request.user, **given.validated_data)
        return Response(ProjectSerializer(changed).data)
