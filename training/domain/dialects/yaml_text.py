"""YAML from strangers: one mapping of plain values, every key once, no anchors, no tags, small and shallow."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from projects.domain.errors import Invalid

MOST_BYTES = 64_000
MOST_DEPTH = 12
MOST_KEYS = 2_000
NUL = "\x00"
# As the tools read their own files, and 1e-4 as the number that it is: YAML 1.1 takes it for a text.
NUMBERS = (
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?\d{1,30}", re.ASCII), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\d{1,30}\.\d{0,30}|\.\d{1,30}|\d{1,30}(?=[eE]))([eE][-+]?\d{1,3})?", re.ASCII),
        "-+.0123456789",
    ),
)
BOOL = re.compile(r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF")
NULL = re.compile(r"~|null|Null|NULL|")
TRUE = {"yes", "true", "on"}


class BadYaml(Invalid):
    """The text is no YAML that is read here; says where and what to do."""

    code = "bad_yaml"


class Loader(yaml.SafeLoader):
    """Numbers, truths, nothing and texts; no dates, no base sixty, no merging."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _form, _first in NUMBERS:
    Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_form.pattern})$", re.ASCII), list(_first))
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(f"(?:{BOOL.pattern})$"), list("yYnNtTfFoO"))
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(f"(?:{NULL.pattern})$"), ["~", "n", "N", ""])


def _mapping(loader: Loader, node: yaml.MappingNode, deep: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise BadYaml(f"Line {line}: a key must be a plain word.", field="text")
        key = key_node.value
        if key in found:
            raise BadYaml(
                f"Line {line}: “{key[:60]}” stands here for the second time, and which of the two counts cannot be "
                "known. Remove one.",
                code="duplicate_key",
                field="text",
            )
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _whole(loader: Loader, node: yaml.ScalarNode) -> int:
    return int(node.value)


def _decimal(loader: Loader, node: yaml.ScalarNode) -> float:
    return float(node.value)


def _truth(loader: Loader, node: yaml.ScalarNode) -> bool:
    return node.value.lower() in TRUE


Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
Loader.add_constructor("tag:yaml.org,2002:int", _whole)
Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
Loader.add_constructor("tag:yaml.org,2002:bool", _truth)


def read(text: str) -> dict[str, Any]:
    """The mapping that a text holds. JSON is YAML, so a frozen spec is read, too."""
    _check_text(text)
    try:
        _check_events(text)
        found = yaml.load(text, Loader=Loader)  # a safe loader, with less than SafeLoader has
    except yaml.MarkedYAMLError as problem:
        raise BadYaml(_where(problem), field="text") from problem
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise BadYaml(f"This is not YAML: {str(problem)[:160]}.", field="text") from problem
    if not isinstance(found, dict) or not found:
        raise BadYaml(
            "A spec is a list of settings, one “key: value” a line. This is something else.", code="not_a_mapping",
            field="text",
        )  # fmt: skip
    return found


def write(values: Mapping[str, Any], comments: list[str]) -> str:
    """Comments first, then the settings in the order given; numbers so that YAML 1.1 reads them as numbers."""
    head = "".join(f"# {line}\n" if line else "#\n" for line in comments)
    return head + yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=110)


def _check_text(text: str) -> None:
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise BadYaml(
            f"A spec has at most {MOST_BYTES:,} bytes. Is this the right file?", code="too_large", field="text"
        )
    if NUL in text:
        raise BadYaml("The file holds NUL bytes, so it is no text. Is this the right file?", field="text")
    if not text.strip():
        raise BadYaml("There is nothing to read. Paste a spec or choose its file.", code="empty", field="text")


def _check_events(text: str) -> None:
    """Walked before anything is built: anchors can grow without end, tags can name programs."""
    depth = keys = documents = 0
    for event in yaml.parse(text, Loader=Loader):
        documents += isinstance(event, yaml.DocumentStartEvent)
        line = (event.start_mark.line if event.start_mark else 0) + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadYaml(
                f"Line {line}: anchors and aliases (& and *) are not read. Write the value out.", code="alias",
                field="text",
            )  # fmt: skip
        tag = getattr(event, "tag", None)
        if tag:
            raise BadYaml(
                f"Line {line}: tags ({str(tag)[:40]}) are not read. Write a plain value.",
                code="tag",
                field="text",
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        keys += isinstance(event, yaml.ScalarEvent)
        if depth > MOST_DEPTH or keys > MOST_KEYS or documents > 1:
            what = "is nested too deeply" if depth > MOST_DEPTH else "holds too much for one spec"
            raise BadYaml(f"Line {line}: the text {what}. A spec is one flat list of settings.", field="text")


def _where(problem: yaml.MarkedYAMLError) -> str:
    mark = problem.problem_mark or problem.context_mark
    place = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    what = " ".join(str(problem.problem or problem.context or "it cannot be read").split())
    return (
        f"{place}this is not YAML: {what[:160]}. Tabs are not allowed for indenting, and texts with “: ” need quotes."
    )
