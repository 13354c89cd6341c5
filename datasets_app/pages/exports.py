"""The page from which a version leaves as a file."""

from typing import Any

from datasets_app import selectors
from datasets_app.domain.exports import SHAPES, Shape, shapes_of
from datasets_app.domain.purposes import Kind
from datasets_app.models import DatasetVersion


def export_page(version: DatasetVersion, wanted: str) -> dict[str, Any]:
    known = shapes_of(Kind(version.kind))
    shape = Shape(wanted) if wanted in known else known[0]
    return {
        "version": version,
        "choices": [{"shape": one.value, "about": SHAPES[one]} for one in known],
        "shape": shape.value,
        "about": SHAPES[shape],
        "lost": selectors.lost_in(version, shape),
    }
