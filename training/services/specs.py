"""Reading specs of other tools. Nothing is written: what comes of it is a form that somebody looks at first."""

from collections.abc import Collection

from projects.access import requires
from projects.domain.permissions import Permission
from projects.models import Project, User
from training import selectors
from training.domain import dialects
from training.selectors.specs import Understood


@requires(Permission.RUN_START)
def read_spec(
    project: Project,
    *,
    by: User,
    text: str,
    tool: str = "",
    gpus: int = 1,
    without: Collection[str] = (),
    base: str = "",
    data: str = "",
    parent: str = "",
    validation: str = "",
) -> Understood:
    """What a spec means in this project: settings taken, translated, without effect, refused; parts found or not.

    `base`, `data`, `parent` and `validation` are names that count instead of those in the spec.
    """
    reading = dialects.read(text, tool=tool, gpus=gpus, without=frozenset(without))
    if base:
        reading.base, reading.revision, reading.fingerprint = base, "", ""
    if data:
        reading.data, reading.content_hash = data, ""
    if validation:
        reading.validation, reading.validation_hash = validation, ""
    reading.parent = parent or reading.parent
    return selectors.understood(project, reading)
