"""Every external effect on the way of a run has a named fault point near it, and every point is in the one table."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from projects import faults

ROOT = Path(settings.BASE_DIR)
# The way of a run, from its upload to its release: what happens here must be tried with a fault in the middle.
WAY = [
    "projects/leases.py",
    "projects/pausing.py",
    "projects/supervision.py",
    "projects/child.py",
    "projects/reconciler.py",
    "projects/waking.py",
    "projects/artefacts.py",
    "projects/events.py",
    "projects/sending.py",
    "projects/letters.py",
    "projects/courier.py",
    "training/supervisor.py",
    "training/notes.py",
    "training/notes.py",
    "training/engine/checkpoints.py",
    "training/engine/adapter.py",
    "datasets_app/services/incoming.py",
    "datasets_app/ingest/versions.py",
    "deployments/engine/release.py",
]
# Calls that change something which outlives the process, however they are reached.
METHODS = {"rename", "symlink_to", "fsync", "Popen", "send_task", "bulk_create", "create", "save"}
# Names that mean something else on other things. Writes of projects.leases pass a point wherever they are called from.
FUNCTIONS = {
    "os.replace", "os.rename", "os.fsync", "os.killpg", "shutil.copytree", "shutil.rmtree",
    "move", "fenced_update", "close_attempt", "booking.book_attempt",
}  # fmt: skip
# No fault is tried here, and why.
EXEMPT = {
    ("projects/artefacts.py", "_sync"): "its callers stand between points",
    ("projects/artefacts.py", "_move"): "its caller stands between points; a rename is all or nothing",
    ("projects/artefacts.py", "_upload"): "an object store has no rename; its callers stand between points",
    ("projects/artefacts.py", "_download"): "a cache of what is stored elsewhere",
    ("projects/artefacts.py", "store_upload_locally"): "a cache of what is stored elsewhere",
    ("training/engine/checkpoints.py", "flush"): "its callers stand between points",
    ("training/engine/checkpoints.py", "discard_staging"): "rubbish, which the next attempt sweeps as well",
    (
        "training/engine/checkpoints.py",
        "keep_beside",
    ): "what is torn or missing there is computed again, to the same numbers",
    ("deployments/engine/release.py", "_flush"): "its callers stand between points",
    ("datasets_app/services/incoming.py", "begin_upload"): "one row, all or nothing",
    ("datasets_app/ingest/versions.py", "after"): "rubbish, between supervision.concluded and supervision.after_done",
    ("projects/waking.py", "_send"): "a wake-up goes between points; a canary is there to be lost",
    ("projects/leases.py", "request_cancel"): "of a waiting job: one move, all or nothing",
}


def named(call: ast.Call) -> str:
    return ast.unparse(call.func)


def is_effect(call: ast.Call) -> bool:
    name = named(call)
    return name in FUNCTIONS or (isinstance(call.func, ast.Attribute) and call.func.attr in METHODS)


def calls(node: ast.AST) -> Iterator[ast.Call]:
    return (child for child in ast.walk(node) if isinstance(child, ast.Call))


def points_in(node: ast.AST) -> list[str]:
    return [
        call.args[0].value
        for call in calls(node)
        if named(call) in {"faults.point", "point"} and isinstance(call.args[0], ast.Constant)
    ]


def functions(path: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def uncovered(path: str) -> list[str]:
    """Functions with an effect that hold no point, and whose callers in the same file do not hold one either."""
    found = functions(path)
    bare = []
    for name, node in found.items():
        if not any(map(is_effect, calls(node))) or points_in(node) or (path, name) in EXEMPT:
            continue
        callers = [
            other for other in found.values() if name in {named(call).rpartition(".")[2] for call in calls(other)}
        ]
        if not callers or not all(points_in(caller) for caller in callers):
            bare.append(f"{path}: {name}")
    return bare


def sources() -> Iterator[Path]:
    for app in ("projects", "datasets_app", "training", "evaluation", "deployments"):
        yield from (path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


def used() -> dict[str, list[str]]:
    where: dict[str, list[str]] = {}
    for path in sources():
        text = path.read_text()
        if "point(" in text and path.name != "faults.py":
            for name in points_in(ast.parse(text)):
                where.setdefault(name, []).append(path.name)
    return where


@pytest.mark.parametrize("path", WAY)
def test_effects_on_the_way_of_a_run_have_a_point_near_them(path):
    assert uncovered(path) == []


def test_exemptions_are_of_functions_that_exist():
    assert [key for key in EXEMPT if key[1] not in functions(key[0])] == []


def test_points_and_their_table_agree():
    assert set(used()) == set(faults.POINTS)


def test_a_point_stands_in_one_place():
    assert {name: places for name, places in used().items() if len(places) > 1} == {}


def test_there_are_enough_points_and_each_has_its_sentence():
    assert len(faults.POINTS) >= 40
    assert [name for name, text in faults.POINTS.items() if not text.endswith(".") or len(text) < 15] == []
    assert len(set(faults.POINTS.values())) == len(faults.POINTS)


def test_the_lint_finds_an_effect_without_a_point(tmp_path):
    """A check that cannot fail is worth nothing."""
    bare = "def put(place):\n    place.rename('x')\n"
    near = "def put(place):\n    place.rename('x')\ndef whole(place):\n    faults.point('x.y')\n    put(place)\n"
    for text, expected in ((bare, 1), (near, 0)):
        (tmp_path / "file.py").write_text(text)
        assert len(uncovered(str(tmp_path / "file.py"))) == expected
