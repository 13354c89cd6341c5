"""The lineage in PROV-JSON, after the W3C member submission of 2013: entities, activities and what relates them."""

from collections.abc import Mapping, Sequence
from typing import Any

Edge = tuple[str, str, str]
# What an edge is called by what stands at its ends: (relation, its name for the target, its name for the source).
RELATIONS = {
    ("entity", "activity"): ("used", "prov:activity", "prov:entity"),
    ("activity", "entity"): ("wasGeneratedBy", "prov:entity", "prov:activity"),
    ("entity", "entity"): ("wasDerivedFrom", "prov:generatedEntity", "prov:usedEntity"),
    ("activity", "activity"): ("wasInformedBy", "prov:informed", "prov:informant"),
}


def document(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Edge], *, namespace: str) -> dict[str, Any]:
    """`nodes` have id, prov ("entity" or "activity"), kind, label, and attributes as plain values under "more"."""
    told: dict[str, Any] = {"prefix": {"luthier": namespace, "xsd": "http://www.w3.org/2001/XMLSchema#"}}
    sort = {node["id"]: node["prov"] for node in nodes}
    for node in nodes:
        told.setdefault(node["prov"], {})[name(node["id"])] = _attributes(node)
    for number, (source, target, label) in enumerate(edges, start=1):
        relation, here, there = RELATIONS[sort[source], sort[target]]
        said = {"prov:label": label} if label else {}
        told.setdefault(relation, {})[f"_:r{number}"] = {here: name(target), there: name(source)} | said
    return told


def name(node: str) -> str:
    """A qualified name: a colon has its own meaning in one."""
    return f"luthier:{node.replace(':', '-')}"


def _attributes(node: Mapping[str, Any]) -> dict[str, Any]:
    kind = {"$": f"luthier:{node['kind']}", "type": "prov:QUALIFIED_NAME"}
    more = {f"luthier:{key.replace(' ', '_')}": value for key, value in node["more"].items() if _plain(value)}
    return {"prov:label": node["label"], "prov:type": kind} | more


def _plain(value: Any) -> bool:
    return value not in (None, "", []) and isinstance(value, str | int | float | bool | list)
