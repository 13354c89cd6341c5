"""The body that orders a fine-tuning job, read strictly: what would be ignored is refused with its reason."""

from collections.abc import Mapping
from typing import Any

from projects.domain.errors import Invalid
from training.domain import finetuning
from training.domain.recipe import shown

KNOWN = frozenset(
    {
        "model",
        "training_file",
        "validation_file",
        "hyperparameters",
        "method",
        "seed",
        "suffix",
        "metadata",
        "integrations",
    }
)
MOST_SEED = 2**31 - 1


def refuse(message: str, field: str, code: str = "invalid_value") -> Invalid:
    return Invalid(message, code=code, field=field)


def read(data: Any) -> dict[str, Any]:
    """The arguments of the service that makes the job."""
    if not isinstance(data, Mapping):
        raise refuse("The body is a JSON object.", "", "invalid_type")
    if unknown := sorted(str(name) for name in data if name not in KNOWN):
        raise refuse(f"Unknown parameter: “{shown(unknown[0])}”.", shown(unknown[0]), "unknown_parameter")
    _refuse_unsupported(data)
    method, hyper = _method(data)
    return {
        "model": _text(data, "model", 400),
        "training_file": _text(data, "training_file", 60),
        "validation_file": _text(data, "validation_file", 60) if data.get("validation_file") else "",
        "method": method,
        "hyperparameters": hyper,
        "seed": _seed(data.get("seed")),
        "suffix": "" if data.get("suffix") is None else _text(data, "suffix", 64),
        "metadata": _metadata(data.get("metadata")),
    }


def _refuse_unsupported(data: Mapping[str, Any]) -> None:
    if data.get("integrations"):
        raise refuse(
            "Nothing is sent to other services from here. Read the metrics as events, or as the file in result_files.",
            "integrations",
            "unsupported_parameter",
        )


def _text(data: Mapping[str, Any], name: str, longest: int) -> str:
    value = data.get(name)
    if value is None or value == "":
        raise refuse(f"Missing required parameter: “{name}”.", name, "missing_required_parameter")
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise refuse(f"{name} is a text of at most {longest} characters.", name, "invalid_type")
    return value


def _method(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The method with its hyperparameters, the older place for those of supervised training included."""
    given, older = data.get("method"), data.get("hyperparameters")
    if given is None:
        return "supervised", finetuning.hyperparameters("supervised", older, "hyperparameters")
    if older is not None:
        raise refuse("Say hyperparameters once: in method.", "hyperparameters", "contradiction")
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "reinforcement":
        raise refuse(
            "Reinforcement fine-tuning is not trained here. Use supervised or dpo.", "method.type", "unsupported_value"
        )
    if not isinstance(given, Mapping) or not isinstance(kind, str) or kind not in finetuning.METHODS:
        raise refuse("method.type is supervised or dpo.", "method.type")
    if unknown := sorted(str(name) for name in given if name not in {"type", kind}):
        raise refuse(f"method of type {kind} has no “{shown(unknown[0])}”.", f"method.{shown(unknown[0])}",
                     "unknown_parameter")  # fmt: skip
    inner = given.get(kind) or {}
    if not isinstance(inner, Mapping) or set(inner) - {"hyperparameters"}:
        raise refuse(f"method.{kind} is an object with hyperparameters.", f"method.{kind}", "unknown_parameter")
    where = f"method.{kind}.hyperparameters"
    return str(kind), finetuning.hyperparameters(str(kind), inner.get("hyperparameters"), where)


def _seed(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_SEED:
        raise refuse(f"seed is a whole number from 0 to {MOST_SEED}.", "seed")
    return value


def _metadata(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > 16:
        raise refuse("metadata is an object of at most 16 texts.", "metadata")
    for name, text in value.items():
        if len(name) > 64 or not isinstance(text, str) or len(text) > 512 or "\x00" in name + text:
            raise refuse("Keys of metadata have up to 64 characters, values are texts of up to 512.", "metadata")
    return dict(value)
