"""API of reviews: rounds, the next rows, decisions, progress."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.response import Response

from datasets_app.api.serializers import review as shapes
from datasets_app.api.views.reading import KEY, Listed
from datasets_app.models import DatasetVersion, ReviewItem, ReviewRound
from datasets_app.selectors import review as reads
from datasets_app.selectors import review_progress
from datasets_app.services import review as queue
from datasets_app.services import review_rounds
from projects.api.serializers import EmptySerializer, ReasonSerializer
from projects.api.views import Idempotent, ProjectViewSet
from projects.domain.errors import Invalid
from projects.models import Project, User


def checked(shape: Any, request: Any) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def people(project: Project, wanted: list[str]) -> list[User]:
    """Members by their addresses, in the order given."""
    known = {user.email.casefold(): user for user in reads.reviewers(project)}
    missing = [email for email in wanted if email.casefold() not in known]
    if missing:
        raise Invalid(f"{missing[0]} may not review data in this project.", code="not_a_reviewer", field="people")
    return [known[email.casefold()] for email in wanted]


@extend_schema_view(
    list=extend_schema(description="Reviews of the project, newest first."),
    retrieve=extend_schema(description="One review."),
)
class ReviewViewSet(Idempotent, Listed):
    queryset = ReviewRound.objects.exclude(state=ReviewRound.State.DISCARDED).select_related(
        "project", "version__dataset__project", "build", "created_by"
    )
    serializer_class = shapes.DataReviewSerializer
    services = {
        "create": review_rounds.open_round,
        "take": queue.take_items,
        "assign": review_rounds.assign_round,
        "close": review_rounds.close_round,
        "reopen": review_rounds.reopen_round,
        "discard": review_rounds.discard_round,
    }

    def answer(self, review: ReviewRound, code: int = 200) -> Response:
        return Response(self.get_serializer(reads.rounds(self.project).get(pk=review.pk)).data, status=code)

    @extend_schema(
        parameters=[KEY], request=shapes.NewDataReviewSerializer, responses={201: shapes.DataReviewSerializer}
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Open a review of a version."""
        said = checked(shapes.NewDataReviewSerializer, request)
        versions = DatasetVersion.objects.select_related("dataset__project")
        version = get_object_or_404(versions, dataset__project=self.project, pk=said.pop("version"))
        said["people"] = people(self.project, said["people"])
        return self.create_once(
            request, lambda: self.answer(self.services["create"](version, by=request.user, **said), 201)
        )

    @extend_schema(request=shapes.TakeSerializer, responses=shapes.ReviewItemSerializer(many=True))
    @action(detail=True, methods=["post"])
    def take(self, request: Any, **kwargs: Any) -> Response:
        """The next rows for you, held for ten minutes so that nobody else gets them."""
        review, said = self.get_object(), checked(shapes.TakeSerializer, request)
        items = self.services["take"](review, by=request.user, **said)
        shown = [
            {
                "id": item.pk,
                "position": item.position,
                "held_until": item.held_until,
                "findings": [hit.code for hit in hits],
                "row": row,
            }
            for item, row, hits in reads.shown_items(items)
        ]
        return Response(shapes.ReviewItemSerializer(shown, many=True).data)

    @extend_schema(responses=shapes.ReviewProgressSerializer)
    @action(detail=True, methods=["get"])
    def progress(self, request: Any, **kwargs: Any) -> Response:
        """How far it is, by whom, at what cost, with which agreement."""
        review = self.get_object()
        return Response(shapes.ReviewProgressSerializer(progress_of(review, request.user)).data)

    @extend_schema(responses=shapes.DisputeSerializer(many=True))
    @action(detail=True, methods=["get"])
    def disputes(self, request: Any, **kwargs: Any) -> Response:
        """The first 200 rows that two people see differently, with what each has said."""
        keys = review_progress.disputes(self.get_object())[:200]
        items = ReviewItem.objects.filter(pk__in=keys).order_by("position").prefetch_related("decisions__reviewer")
        shown = [{"item": item.pk, "row": item.row, "decisions": item.decisions.all()} for item in items]
        return Response(shapes.DisputeSerializer(shown, many=True).data)

    @extend_schema(request=shapes.DealSerializer, responses=shapes.DataReviewSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Any, **kwargs: Any) -> Response:
        """Deal the rows that wait out anew; an empty list means whoever comes first."""
        review, said = self.get_object(), checked(shapes.DealSerializer, request)
        chosen = people(self.project, said["people"])
        return self.answer(self.services["assign"](review, by=request.user, people=chosen))

    @extend_schema(request=EmptySerializer, responses=shapes.DataReviewSerializer)
    @action(detail=True, methods=["post"])
    def close(self, request: Any, **kwargs: Any) -> Response:
        """End it: the time is booked and the version queued that carries out what was decided."""
        review = self.get_object()
        checked(EmptySerializer, request)
        return self.answer(self.services["close"](review, by=request.user))

    @extend_schema(request=EmptySerializer, responses=shapes.DataReviewSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Any, **kwargs: Any) -> Response:
        """Go on looking, as long as no version was made of it."""
        review = self.get_object()
        checked(EmptySerializer, request)
        return self.answer(self.services["reopen"](review, by=request.user))

    @extend_schema(request=ReasonSerializer, responses={204: None})
    @action(detail=True, methods=["post"])
    def discard(self, request: Any, **kwargs: Any) -> Response:
        """Throw it away: none of its verdicts is used."""
        review, said = self.get_object(), checked(ReasonSerializer, request)
        self.services["discard"](review, by=request.user, **said)
        return Response(status=204)


def progress_of(review: ReviewRound, user: User) -> dict[str, Any]:
    found = review_progress.progress(review)
    agreement, _ = review_progress.agreements(review)
    return {
        "rows": found.planned,
        **{name: getattr(found, name) for name in ("rows_done", "looks", "looks_done", "seconds", "seconds_left")},
        "waiting_for_you": reads.waiting_for(review, user) if review.is_open else 0,
        "cost": found.cost,
        "currency": review.project.currency,
        "became": found.became,
        "agreement": agreement,
        "people": [
            {
                "email": person.user.email,
                "done": person.done,
                "left": person.left,
                "counts": person.counts,
                "seconds": person.seconds,
                "rows_an_hour": person.speed.per_hour if person.speed else None,
                "median_seconds": person.speed.median if person.speed else None,
            }
            for person in found.people
        ],
    }


class ReviewItemViewSet(ProjectViewSet):
    """What is said of single rows. Saying the same twice changes nothing, so every call may be repeated."""

    queryset = ReviewItem.objects.select_related("round__project", "round__version__dataset__project")
    serializer_class = shapes.RowDecisionSerializer
    services = {
        "decide": queue.decide_item,
        "show": queue.show_item,
        "undo": queue.undo_decision,
        "rule": review_rounds.rule_on,
    }

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(round__project=getattr(self, "project", None))

    @extend_schema(request=shapes.DecideItemSerializer, responses=shapes.RowDecisionSerializer)
    @action(detail=True, methods=["post"])
    def decide(self, request: Any, **kwargs: Any) -> Response:
        """Accept, fix, reject or skip a row. Your last word counts."""
        item, said = self.get_object(), checked(shapes.DecideItemSerializer, request)
        claimed = said.pop("seconds")
        made = self.services["decide"](item, by=request.user, claimed=claimed, **said)
        return Response(self.get_serializer(made).data)

    @extend_schema(request=EmptySerializer, responses=shapes.ShownSerializer)
    @action(detail=True, methods=["post"])
    def show(self, request: Any, **kwargs: Any) -> Response:
        """A sign of life: this row is on the screen. What you hold stays yours for ten more minutes."""
        item = self.get_object()
        checked(EmptySerializer, request)
        return Response({"held": self.services["show"](item, by=request.user)})

    @extend_schema(request=EmptySerializer, responses=shapes.UndoneSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, request: Any, **kwargs: Any) -> Response:
        """Take your decision back; the row is yours again."""
        item = self.get_object()
        checked(EmptySerializer, request)
        return Response({"undone": self.services["undo"](item, by=request.user)})

    @extend_schema(request=shapes.RuleSerializer, responses=shapes.RulingSerializer)
    @action(detail=True, methods=["post"])
    def rule(self, request: Any, **kwargs: Any) -> Response:
        """The last word on a row about which people disagree."""
        item, said = self.get_object(), checked(shapes.RuleSerializer, request)
        return Response(shapes.RulingSerializer(self.services["rule"](item, by=request.user, **said)).data)
