"""A bill of materials of a model in CycloneDX 1.6 (ECMA-424): what it is, what it stands on, and with which bytes.

Filled are the fields that can be checked against bytes: revisions, hashes, formats; and what was measured, with its
interval. What nobody knows is left out rather than written down as unknown.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SPEC_VERSION = "1.6"
MEDIA_TYPE = "application/vnd.cyclonedx+json; version=1.6"
NAMESPACE = uuid.UUID("6f1b1a55-98f3-5d0c-9d0a-3d2c5b6f0a11")
# As hubs write licences, and as SPDX does. Others are given by the name that they came with.
SPDX = {
    "apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause",
    "isc": "ISC", "unlicense": "Unlicense", "mpl-2.0": "MPL-2.0", "gpl-3.0": "GPL-3.0-only", "gpl-2.0": "GPL-2.0-only",
    "agpl-3.0": "AGPL-3.0-only", "lgpl-3.0": "LGPL-3.0-only", "cc0-1.0": "CC0-1.0", "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0", "cc-by-nc-4.0": "CC-BY-NC-4.0", "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "openrail": "OpenRAIL", "bigscience-openrail-m": "BigScience-OpenRAIL-M",
}  # fmt: skip
NAMED = frozenset({"OpenRAIL", "BigScience-OpenRAIL-M"})  # known to people, not to SPDX's list


@dataclass(frozen=True)
class Files:
    """Names with sha256 and, where known, size in bytes."""

    entries: Mapping[str, tuple[str, int | None]]


@dataclass(frozen=True)
class Data:
    """A dataset version that went into it."""

    ref: str
    name: str
    version: str
    content_hash: str
    rows: int
    note: str = ""


@dataclass(frozen=True)
class Measured:
    """A figure of a golden set with its 95 % interval."""

    measure: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Model:
    """The model itself, or one that it stands on."""

    ref: str
    name: str
    version: str
    description: str = ""
    licence: str = ""
    architecture: str = ""
    files: Files = field(default_factory=lambda: Files({}))
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bill:
    subject: Model
    ancestors: Sequence[Model]
    data: Sequence[Data]
    measured: Sequence[Measured]
    packages: Mapping[str, str]
    limitations: Sequence[str]
    tool_version: str
    at: str  # ISO 8601, UTC


def render(bill: Bill) -> dict[str, Any]:
    """The document. The same facts give the same serial number."""
    refs = [*(one.ref for one in bill.ancestors), *(one.ref for one in bill.data)]
    libraries = [_library(name, version) for name, version in sorted(bill.packages.items())]
    seed = (
        f"{bill.subject.ref}|{bill.subject.version}|{','.join(f'{one.measure}={one.value}' for one in bill.measured)}"
    )
    tool = {"type": "application", "name": "Luthier", "version": bill.tool_version}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, seed)}",
        "version": 1,
        "metadata": {"timestamp": bill.at, "tools": {"components": [tool]}, "component": _subject(bill)},
        "components": [*(_model(one) for one in bill.ancestors), *(_data(one) for one in bill.data), *libraries],
        "dependencies": [
            {"ref": bill.subject.ref, "dependsOn": sorted(set(refs))},
            *({"ref": ref} for ref in sorted(set(refs))),
        ],
    }


def _subject(bill: Bill) -> dict[str, Any]:
    found = _model(bill.subject)
    ancestors = [{key: value for key, value in _model(one).items() if key in PEDIGREE} for one in bill.ancestors]
    if ancestors:
        found["pedigree"] = {"ancestors": ancestors}
    parameters: dict[str, Any] = {
        "approach": {"type": "supervised"},
        "task": "text-generation",
        "inputs": [{"format": "text"}],
        "outputs": [{"format": "text"}],
    }
    if bill.subject.architecture:
        parameters["modelArchitecture"] = bill.subject.architecture
    if bill.data:
        parameters["datasets"] = [{"ref": one.ref} for one in bill.data]
    card: dict[str, Any] = {"modelParameters": parameters}
    if bill.measured:
        card["quantitativeAnalysis"] = {"performanceMetrics": [_metric(one) for one in bill.measured]}
    if bill.limitations:
        card["considerations"] = {"technicalLimitations": list(bill.limitations)}
    return found | {"modelCard": card}


PEDIGREE = frozenset({"type", "name", "version", "hashes", "licenses", "description"})


def _model(one: Model) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": one.ref,
        "name": one.name,
        "version": one.version,
        "description": one.description,
        "licenses": licences(one.licence),
        "hashes": _hash(one.version) if _is_sha256(one.version) else [],
        "components": [_file(one.ref, name, *entry) for name, entry in sorted(one.files.entries.items())],
        "properties": [{"name": f"luthier:{key}", "value": value} for key, value in one.properties.items() if value],
    }
    return {key: value for key, value in found.items() if value}


def licences(name: str) -> list[dict[str, Any]]:
    if not name:
        return []
    known = SPDX.get(name.lower(), "")
    if known and known not in NAMED:
        return [{"license": {"id": known}}]
    return [{"license": {"name": known or name}}]


def _file(ref: str, name: str, sha256: str, size: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "bom-ref": f"{ref}/{name}", "name": name, "hashes": _hash(sha256)}
    if size is not None:
        found["properties"] = [{"name": "luthier:size", "value": str(size)}]
    return found


def _data(one: Data) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "data",
        "bom-ref": one.ref,
        "name": one.name,
        "version": one.version,
        "data": [{"type": "dataset", "name": one.name, "classification": "internal"}],
        "properties": [{"name": "luthier:rows", "value": str(one.rows)}],
    }
    if one.note:
        told["description"] = one.note
    if _is_sha256(one.content_hash):
        told["hashes"] = _hash(one.content_hash)
    return told


def _library(name: str, version: str) -> dict[str, Any]:
    release = version.partition("+")[0]
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name.lower()}@{release}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower()}@{release}",
        "scope": "excluded",  # it was used to make the model, and is no part of it
    }


def _metric(one: Measured) -> dict[str, Any]:
    found: dict[str, Any] = {"type": one.measure, "value": f"{one.value:.6f}", "slice": f"{one.n} golden rows"}
    if one.low is not None and one.high is not None:
        found["confidenceInterval"] = {"lowerBound": f"{one.low:.6f}", "upperBound": f"{one.high:.6f}"}
    return found


def _hash(value: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": value}]


def _is_sha256(value: str) -> bool:
    return len(value) == len(hashlib.sha256().hexdigest()) and all(one in "0123456789abcdef" for one in value)
