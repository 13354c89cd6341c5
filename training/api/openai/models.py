"""/v1/models: what `model` may name in an order, and what came of orders."""

from typing import Any

from rest_framework.response import Response

from projects.domain.errors import Invalid
from training import services
from training.api.openai import shapes
from training.api.openai.base import OpenAIViewSet, found
from training.models import Adapter
from training.selectors import adapters
from training.selectors import finetuning as reading


class ModelViewSet(OpenAIViewSet):
    services = {"destroy": services.delete_adapter}

    def list(self, request: Any, **kwargs: Any) -> Response:
        """Bases that are ready and all adapters."""
        bases = [shapes.base_object(name, base) for name, base in reading.named_bases(self.project).items()]
        made = adapters(self.project).select_related("run__ordered_as", "base", "project")[: reading.LOOKED_THROUGH]
        return Response({"object": "list", "data": [*bases, *(shapes.adapter_object(one) for one in made)]})

    def retrieve(self, request: Any, model: str, **kwargs: Any) -> Response:
        row = found(reading.find_model(self.project, model), "model", model)
        return Response(shapes.adapter_object(row) if isinstance(row, Adapter) else shapes.base_object(model, row))

    def destroy(self, request: Any, model: str, **kwargs: Any) -> Response:
        """Delete an adapter, unless something stands on it. Bases are taken off the list on their page."""
        row = found(reading.find_model(self.project, model), "model", model)
        if not isinstance(row, Adapter):
            raise Invalid("Only fine-tuned models can be deleted here.", code="not_fine_tuned", field="model")
        self.services["destroy"](row, by=request.user)
        return Response({"id": model, "object": "model", "deleted": True})
