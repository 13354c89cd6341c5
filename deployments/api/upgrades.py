"""The API of upgrades: successors, plans and reports of two bases, and orders."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response

from deployments import services
from deployments.api import upgrade_shapes as shapes
from deployments.api.views import checked, one_of
from deployments.domain import upgrade_report
from deployments.models import Succession, Upgrade
from deployments.pages import upgrades as pages
from deployments.selectors import families, reports
from evaluation import selectors as evaluations
from projects.api.serializers import EmptySerializer, ReasonSerializer
from projects.api.views import Idempotent, ProjectViewSet
from projects.domain.errors import Invalid
from training import selectors as training
from training.models import BaseModelVersion


class SuccessionViewSet(Idempotent, ListModelMixin, ProjectViewSet):
    """Which base follows which, where somebody had to say so."""

    lookup_value_converter = "int"
    serializer_class = shapes.SuccessionSerializer
    queryset = Succession.objects.none()
    services = {"create": services.declare_successor, "destroy": services.withdraw_successor}

    def get_queryset(self) -> QuerySet[Succession]:
        return self.project.successions.select_related("project", "old", "new", "declared_by").order_by("-pk")

    @extend_schema(request=shapes.NewSuccessionSerializer, responses={201: shapes.SuccessionSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Declare that one base follows another. Saying it twice changes nothing."""
        fields = checked(shapes.NewSuccessionSerializer, request)
        old, new = (one_of(self.project.bases, fields[name], name) for name in ("old", "new"))

        def make() -> Response:
            return Response(self.get_serializer(self.services["create"](old, by=request.user, new=new)).data, 201)

        return self.create_once(request, make)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Take a declaration back."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PairViewSet(ProjectViewSet):
    """Reads of two bases: what would be done, and what came of it."""

    serializer_class = shapes.UpgradePairSerializer

    def base(self, pk: int) -> BaseModelVersion:
        return get_object_or_404(training.bases(self.project).select_related("anatomy"), pk=pk)

    @extend_schema(responses=shapes.UpgradePairSerializer(many=True))
    def list(self, request: Any, **kwargs: Any) -> Response:
        """Every older base with adapters, beside the newest that follows it."""
        return Response(shapes.UpgradePairSerializer(families.pairs(self.project), many=True).data)

    @extend_schema(responses=shapes.UpgradePlanSerializer)
    def plan(self, request: Any, old: int, new: int, **kwargs: Any) -> Response:
        """Adapters that the new version orphans, what is used most first, and what each step would take."""
        golden = evaluations.versions(self.project, "golden").first()
        told = pages.plan_page(self.base(old), self.base(new), timezone.now(), golden)
        return Response(shapes.UpgradePlanSerializer(_plan(told)).data)

    @extend_schema(responses=shapes.UpgradeReportSerializer)
    def report(self, request: Any, old: int, new: int, **kwargs: Any) -> Response:
        """What survived, what came back, what was lost, what is unknown; with figures and costs."""
        told = reports.pair_report(self.base(old), self.base(new)).as_dict()
        return Response(shapes.UpgradeReportSerializer(told).data)

    @extend_schema(responses={(200, "text/markdown"): OpenApiTypes.STR})
    def markdown(self, request: Any, old: int, new: int, **kwargs: Any) -> HttpResponse:
        """The same as Markdown."""
        told = reports.pair_report(self.base(old), self.base(new)).as_dict()
        return HttpResponse(upgrade_report.markdown(told), content_type="text/markdown; charset=utf-8")


def _plan(told: dict[str, Any]) -> dict[str, Any]:
    pair, under_way = told["pair"], told["under_way"]
    steps = [_step(step, money) for step, _, money in told["steps"]]
    return {
        "old": pair.old.pk,
        "new": pair.new.pk,
        "follows": told["follows"],
        "under_way": under_way.pk if under_way else None,
        "currency": pair.old.project.currency,
        "steps": steps,
        "adapters": [_line(line) for line in told["lines"]],
    }


def _step(step: Any, money: Any) -> dict[str, Any]:
    told = {name: getattr(step, name) for name in ("step", "adapters", "there", "cannot", "sum")}
    return told | {"fits": money.fits}


def _line(line: Any) -> dict[str, Any]:
    one = line.one
    parts = {name: planned.as_dict() for name, planned in line.parts.items()}
    return parts | {
        "adapter": one.adapter.pk,
        "name": one.adapter.name,
        "live": one.use.live,
        "deployments": one.use.deployments,
        "evaluations": one.use.evaluations,
        "verdict": one.cell.judgement.verdict.value,
        "outcome": one.found.outcome.value,
        "why": one.found.why,
        "golden": one.golden.pk if one.golden else None,
    }


class UpgradeViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    """Orders: probe, evaluate or retrain adapters of an old base on a new one."""

    lookup_value_converter = "int"
    serializer_class = shapes.UpgradeSerializer
    queryset = Upgrade.objects.none()
    services = {
        "create": services.start_upgrade,
        "pause": services.pause_upgrade,
        "resume": services.resume_upgrade,
        "cancel": services.cancel_upgrade,
        "destroy": services.delete_upgrade,
    }

    def get_queryset(self) -> QuerySet[Upgrade]:
        return families.upgrades(self.project)

    @extend_schema(responses={200: shapes.UpgradeDetailSerializer})
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """One order with each adapter and the work for it."""
        return Response(shapes.UpgradeDetailSerializer(self.get_object()).data)

    @extend_schema(request=shapes.NewUpgradeSerializer, responses={201: shapes.UpgradeDetailSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Hold what all of it may cost, and begin. The same order given twice is one: the second answer is the first.

        409 `over_budget`: give a `budget_reason`. 409 `under_way`: another order of these two is not over.
        """
        fields = checked(shapes.NewUpgradeSerializer, request)
        old, new = (one_of(self.project.bases, fields.pop(name), name) for name in ("old", "new"))
        golden = one_of(evaluations.versions(self.project, "golden"), fields.pop("golden"), "golden")
        adapters = self.adapters(fields.pop("adapters"))

        def make() -> Response:
            given = fields | {"new": new, "golden": golden, "adapters": adapters}
            return self.shown(self.services["create"](old, by=request.user, **given), 201)

        return self.create_once(request, make)

    def adapters(self, numbers: list[int] | None) -> list[Any] | None:
        if numbers is None:
            return None
        found = {one.pk: one for one in training.adapters(self.project).filter(pk__in=numbers)}
        missing = [pk for pk in numbers if pk not in found]
        if missing:
            raise Invalid(f"This project has no adapter {missing[0]}.", code="not_in_project", field="adapters")
        return list(found.values())

    @extend_schema(request=ReasonSerializer, responses={202: shapes.UpgradeDetailSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Any, **kwargs: Any) -> Response:
        """Start nothing more; what is at work comes to its end."""
        fields = checked(ReasonSerializer, request)
        return self.shown(self.services["pause"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(request=EmptySerializer, responses={202: shapes.UpgradeDetailSerializer})
    @action(detail=True, methods=["post"])
    def resume(self, request: Any, **kwargs: Any) -> Response:
        """Let a paused order go on."""
        checked(EmptySerializer, request)
        return self.shown(self.services["resume"](self.get_object(), by=request.user), 202)

    @extend_schema(request=ReasonSerializer, responses={202: shapes.UpgradeDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        """End the order with all that it has started; what has ended stays."""
        fields = checked(ReasonSerializer, request)
        return self.shown(self.services["cancel"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Delete an order that was never begun."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def shown(self, upgrade: Upgrade, code: int) -> Response:
        return Response(shapes.UpgradeDetailSerializer(self.get_queryset().get(pk=upgrade.pk)).data, status=code)
