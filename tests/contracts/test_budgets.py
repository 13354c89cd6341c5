"""Files, functions and tasks stay within the budgets of the house, so that a newcomer can read them."""

import ast
from pathlib import Path

import pytest
from django.conf import settings

APPS = ["config", "projects", "datasets_app", "training", "evaluation", "deployments", "demo", "client"]
FILES = [
    path.relative_to(settings.BASE_DIR)
    for app in APPS
    for path in sorted((settings.BASE_DIR / app).rglob("*.py"))
    if "migrations" not in path.parts
]


def functions(tree: ast.AST):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_and_its_functions_fit_their_budgets(path: Path):
    text = (settings.BASE_DIR / path).read_text()
    tree = ast.parse(text)
    lines = 500 if "engine" in path.parts else 300

    assert len(text.splitlines()) <= lines
    assert {f.name: f.end_lineno - f.lineno + 1 for f in functions(tree) if f.end_lineno - f.lineno >= 50} == {}
    if text.strip() and path.name != "__init__.py":
        assert ast.get_docstring(tree), "a module begins with a sentence that says what is in it"


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "tasks.py"], ids=str)
def test_a_task_is_one_call(path: Path):
    tree = ast.parse((settings.BASE_DIR / path).read_text())

    for function in functions(tree):
        assert len(function.body) <= 4, function.name


@pytest.mark.parametrize("app", ["projects", "datasets_app", "training", "evaluation", "deployments"])
def test_the_init_of_an_app_is_empty(app: str):
    assert (settings.BASE_DIR / app / "__init__.py").read_text() == ""
