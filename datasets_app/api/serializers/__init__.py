"""What the API of this app takes and gives."""

from datasets_app.api.serializers.datasets import DatasetSerializer
from datasets_app.api.serializers.uploads import (
    FORMATS,
    BadRowSerializer,
    IncomingSerializer,
    MendSerializer,
    NewIncomingSerializer,
    NewUploadSerializer,
    PartSerializer,
    RereadSerializer,
    UploadSerializer,
)
from datasets_app.api.serializers.versions import (
    BuildSerializer,
    CleaningSerializer,
    FindingSerializer,
    OverlapSerializer,
    RowPageSerializer,
    RowSerializer,
    VersionSerializer,
)

__all__ = [
    "FORMATS",
    "BadRowSerializer",
    "BuildSerializer",
    "CleaningSerializer",
    "DatasetSerializer",
    "FindingSerializer",
    "IncomingSerializer",
    "MendSerializer",
    "NewIncomingSerializer",
    "NewUploadSerializer",
    "OverlapSerializer",
    "PartSerializer",
    "RereadSerializer",
    "RowPageSerializer",
    "RowSerializer",
    "UploadSerializer",
    "VersionSerializer",
]
