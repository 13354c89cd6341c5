"""The API of datasets, uploads and versions."""

from datasets_app.api.views.datasets import DatasetViewSet
from datasets_app.api.views.exports import ExportViewSet
from datasets_app.api.views.incoming import IncomingViewSet
from datasets_app.api.views.reading import KEY, MOST_ROWS_A_PAGE, ROW_FILTERS, ROWS_A_PAGE, Listed, link, number
from datasets_app.api.views.uploads import UploadViewSet
from datasets_app.api.views.versions import BuildViewSet, VersionViewSet

__all__ = [
    "KEY",
    "MOST_ROWS_A_PAGE",
    "ROWS_A_PAGE",
    "ROW_FILTERS",
    "BuildViewSet",
    "DatasetViewSet",
    "ExportViewSet",
    "IncomingViewSet",
    "Listed",
    "UploadViewSet",
    "VersionViewSet",
    "link",
    "number",
]
