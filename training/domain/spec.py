"""What a run is, frozen: the one JSON document that the engine reads and from which a run can be repeated."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_origin

from projects.domain.errors import Invalid
from training.domain.documents import BadDocument, read_object
from training.domain.recipe import BadRecipe, Recipe, shown

VERSION = 1
OF_ATTEMPT = (
    "output_dir", "checkpoint_dir", "device", "full_check", "fence", "start_at", "checkpoints", "grace_seconds",
    "identity", "verified",
)  # fmt: skip
MOST_BYTES = 16_000_000
STEP = re.compile(r"\d{1,12}", re.ASCII)
PLAIN = (str, int, bool, dict)  # the other fields check themselves


class BadSpec(Invalid):
    """The engine was given something that is no spec."""

    code = "bad_spec"


@dataclass(frozen=True)
class BaseRef:
    """The base-model version: what it is called, and what its bytes must hash to."""

    name: str
    fingerprint: str
    parts: dict[str, Any]
    revision: str = ""
    licence: str = ""
    path: str = ""


@dataclass(frozen=True)
class DataRef:
    """The dataset version: what it is called, and what its rows must hash to."""

    label: str
    content_hash: str
    rows: int
    kind: str
    path: str = ""


@dataclass(frozen=True)
class ParentRef:
    """The adapter to go on from."""

    label: str
    digest: str
    path: str = ""


@dataclass(frozen=True)
class RunSpec:
    label: str
    base: BaseRef
    data: DataRef
    recipe: Recipe
    parent: ParentRef | None = None
    validation: DataRef | None = None  # rows that it is looked at with, and does not learn from
    packages: dict[str, str] = field(default_factory=dict)
    # Where and how this attempt works. Filled by the worker; not part of what is frozen.
    output_dir: str = ""
    checkpoint_dir: str = ""
    device: str = "auto"
    full_check: bool = False
    fence: int = 0
    start_at: int | None = None  # the checkpoint that a person chose; None is the newest whole one, 0 the start
    # By step, the sha256 of the manifest as the database knows it.
    checkpoints: dict[str, str] = field(default_factory=dict)
    grace_seconds: float = 0  # what it is given to save when it is stopped; 0 is not known
    verified: str = ""  # where this host remembers the hashes of the base's files
    identity: str = ""  # digest of the document as it was frozen, whatever later versions add to it
    version: int = VERSION

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"recipe": self.recipe.as_dict()}

    def frozen(self) -> dict[str, Any]:
        """The spec without the places it runs at: equal for every attempt."""
        raw = self.as_dict()
        for key in OF_ATTEMPT:
            del raw[key]
        if raw["validation"] is None:
            del raw["validation"]  # as runs without it have always been written
        for part in filter(None, (raw["base"], raw["data"], raw["parent"], raw.get("validation"))):
            del part["path"]
        return raw

    @property
    def digest(self) -> str:
        return self.identity or digest(self.frozen())

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_dict(), indent=2, sort_keys=True))

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "RunSpec":
        """A spec from its JSON; an unknown or missing key is refused, for it would be a promise not kept."""
        values = _exact(cls, raw)
        if values.get("version", VERSION) != VERSION:
            raise BadSpec(f"This engine reads specs of version {VERSION}, not {shown(values['version'])}.")
        values["base"] = BaseRef(**_exact(BaseRef, values["base"]))
        values["data"] = DataRef(**_exact(DataRef, values["data"]))
        values["recipe"] = _recipe(values["recipe"])
        if values.get("parent") is not None:
            values["parent"] = ParentRef(**_exact(ParentRef, values["parent"]))
        if values.get("validation") is not None:
            values["validation"] = DataRef(**_exact(DataRef, values["validation"]))
        if not all(isinstance(step, str) and STEP.fullmatch(step) for step in values.get("checkpoints", {})):
            raise BadSpec("RunSpec: “checkpoints” must be named by their step.", field="checkpoints")
        return cls(**values)

    @classmethod
    def load(cls, path: Path) -> "RunSpec":
        try:
            raw = read_object(path.read_bytes(), most_bytes=MOST_BYTES)
        except (OSError, BadDocument) as problem:
            raise BadSpec(f"The spec {path.name} cannot be read: it {problem}") from problem
        return cls.read(raw)


def _recipe(raw: Any) -> Recipe:
    """Under one code, whatever is wrong: people corrected it before the start, so it is the programs that differ."""
    try:
        return Recipe.read(raw)
    except BadRecipe as problem:
        raise BadRecipe(problem.message, code="bad_recipe", field=problem.field) from problem


def digest(raw: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of a document."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _exact(kind: type, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise BadSpec(f"{kind.__name__} must be an object.")
    known = {item.name for item in fields(kind)}
    required = {item.name for item in fields(kind) if item.default is item.default_factory}  # both are MISSING
    wrong = sorted(set(raw) - known, key=str) + sorted(required - set(raw))
    if wrong:
        raise BadSpec(f"{kind.__name__}: “{shown(wrong[0])}” is unknown or missing.", field=shown(wrong[0]))
    for item in fields(kind):
        wanted = get_origin(item.type) or item.type
        if wanted in PLAIN and item.name in raw and type(raw[item.name]) is not wanted:
            raise BadSpec(f"{kind.__name__}: “{item.name}” must be of type {wanted.__name__}.", field=item.name)
    return dict(raw)
