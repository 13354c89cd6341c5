"""API of changes: what is proposed, recipes under a name, where a person's text stands."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response

from datasets_app import services
from datasets_app.api.serializers import changes as shapes
from datasets_app.api.serializers.versions import BuildSerializer
from datasets_app.api.views.reading import KEY, Listed
from datasets_app.models import Proposal, SavedRecipe, TextSearch
from projects.api.serializers import EmptySerializer, ReasonSerializer
from projects.api.views import Idempotent
from projects.domain.permissions import Permission


def checked(shape: Any, request: Any) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


@extend_schema_view(list=extend_schema(description="Proposed changes of the project, newest first."))
class ProposalViewSet(Listed):
    queryset = Proposal.objects.select_related("proposed_by", "decided_by", "project", "dataset__project")
    serializer_class = shapes.ProposalSerializer
    services = {
        "merge": services.merge_proposal,
        "close": services.close_proposal,
        "bring_up_to_date": services.update_proposal,
        "comment": services.comment_proposal,
    }

    @extend_schema(request=ReasonSerializer, responses=shapes.ProposalSerializer)
    @action(detail=True, methods=["post"])
    def merge(self, request: Any, **kwargs: Any) -> Response:
        """Release the proposed version. Needs a signed-in second person; tokens never merge."""
        return self.decided("merge", request)

    @extend_schema(request=ReasonSerializer, responses=shapes.ProposalSerializer)
    @action(detail=True, methods=["post"])
    def close(self, request: Any, **kwargs: Any) -> Response:
        """Decline a change, or take one's own back. Needs a signed-in person."""
        return self.decided("close", request)

    @extend_schema(request=EmptySerializer, responses={202: shapes.ProposalSerializer})
    @action(detail=True, methods=["post"], url_path="bring-up-to-date")
    def bring_up_to_date(self, request: Any, **kwargs: Any) -> Response:
        """Carry the change out anew on the newest version of its dataset."""
        checked(EmptySerializer, request)
        proposal = self.services["bring_up_to_date"](self.get_object(), by=request.user)
        return Response(self.get_serializer(proposal).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=shapes.ProposalCommentSerializer, responses={201: shapes.ProposalCommentSerializer})
    @action(detail=True, methods=["post"])
    def comment(self, request: Any, **kwargs: Any) -> Response:
        """Say something about a change."""
        said = checked(shapes.ProposalCommentSerializer, request)
        comment = self.services["comment"](self.get_object(), by=request.user, **said)
        return Response({"text": comment.text}, status=status.HTTP_201_CREATED)

    def decided(self, name: str, request: Any) -> Response:
        given = checked(ReasonSerializer, request)
        proposal = self.services[name](self.get_object(), by=request.user, **given)
        return Response(self.get_serializer(proposal).data)


@extend_schema_view(list=extend_schema(description="Recipes kept under a name."))
class RecipeViewSet(Listed):
    queryset = SavedRecipe.objects.select_related("created_by", "project")
    serializer_class = shapes.SavedRecipeSerializer
    services = {"create": services.save_recipe, "destroy": services.delete_recipe}

    @extend_schema(request=shapes.NewSavedRecipeSerializer, responses={201: shapes.SavedRecipeSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Keep steps under a name; those that name single rows are left out."""
        wanted = checked(shapes.NewSavedRecipeSerializer, request)
        recipe = self.services["create"](self.project, by=request.user, **wanted)
        return Response(self.get_serializer(recipe).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Forget the name; versions keep the steps that made them."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(list=extend_schema(description="Searches for a person's text, newest first."))
class TextSearchViewSet(Idempotent, Listed):
    queryset = TextSearch.objects.select_related("searched_by", "project")
    serializer_class = shapes.TextSearchSerializer
    permission = Permission.DATASET_EDIT
    services = {"create": services.search_text, "destroy": services.forget_search, "erase": services.erase_text}

    @extend_schema(
        parameters=[KEY], request=shapes.NewTextSearchSerializer, responses={202: shapes.TextSearchSerializer}
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Look for a text in every row of every version; ask for the search until it is succeeded or failed."""
        wanted = checked(shapes.NewTextSearchSerializer, request)

        def make() -> Response:
            search = self.services["create"](self.project, by=request.user, **wanted)
            search.refresh_from_db()
            return Response(self.get_serializer(search).data, status=status.HTTP_202_ACCEPTED)

        return self.create_once(request, make)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Forget the text and what was found."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=EmptySerializer, responses={202: BuildSerializer(many=True)})
    @action(detail=True, methods=["post"])
    def erase(self, request: Any, **kwargs: Any) -> Response:
        """Make a new version without the found rows for every dataset whose newest version holds the text."""
        checked(EmptySerializer, request)
        builds = self.services["erase"](self.get_object(), by=request.user)
        return Response(BuildSerializer(builds, many=True).data, status=status.HTTP_202_ACCEPTED)
