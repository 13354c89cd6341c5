"""The command line of the reading child."""

from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

Event = dict[str, Any]
ENGINE = "datasets.engine"


def command(workdir: Path, spec: dict[str, Any]) -> list[str]:
    path = workdir / "spec.json"
    limits = getattr(settings, "DATASET_LIMITS", {})
    path.write_bytes(orjson.dumps({**spec, "out_dir": str(workdir / "out"), "limits": limits}))
    return [*settings.ENGINES[ENGINE], str(path)]
