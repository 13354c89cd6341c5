"""What no honest chat template does: reach for Python's insides, or for other templates.

The sandbox stops all of this while a template runs. Looked for beforehand it is found in branches, too, that no row has
reached yet, and whoever registers the model hears of it at once.
"""

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from projects.domain.errors import Refused

MOST_SOURCE = 1_000_000  # characters; the largest that are published have 20,000
INSIDE = re.compile(
    r"__(class|bases?|mro|subclasses|init|globals|builtins|import|getattr|getattribute|dict|code|closure|reduce|"
    r"reduce_ex|module|self|func|call|new|loader|spec|wrapped|format)__"
)
OTHERS = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Forbidden(Refused):
    """The template tries what a template may not."""

    code = "template_forbidden"


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's own gives an undefined value for what is unsafe and raises when it is used; here asking is enough."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        raise SecurityError(f"“{attribute[:60]}” of a {type(obj).__name__} is out of bounds")


def check(tree: nodes.Template) -> None:
    """Refuse a template that has been parsed but not compiled: compiling already works out constants."""
    if found := next(_forbidden(tree), ""):
        raise Forbidden(f"The chat template {found}. Luthier never runs such a template; use the model's own.")


def _forbidden(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all(OTHERS):
        yield f"loads another template in line {node.lineno}"
    for node in tree.find_all((nodes.Getattr, nodes.Name, nodes.Const, nodes.Filter)):
        if name := _inside(node):
            yield f"reaches for Python's insides in line {node.lineno} (“{name[:60]}”)"


def _inside(node: Any) -> str:
    """The name by which a node asks for what lies behind a value."""
    if isinstance(node, nodes.Getattr):
        return node.attr if node.attr.startswith("_") else ""
    if isinstance(node, nodes.Name):
        return node.name if node.name.startswith("__") else ""
    if isinstance(node, nodes.Filter):
        return node.name if node.name == "attr" else ""
    found = INSIDE.search(node.value) if isinstance(node.value, str) else None
    return found.group() if found else ""
