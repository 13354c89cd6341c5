"""The page about uploads names every format and every shape, and its script is a program."""

import re
from pathlib import Path

from datasets_app.domain.exports import Shape
from datasets_app.domain.formats.base import Format

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "uploads.md").read_text()


def test_every_format_and_shape_is_named():
    assert [fmt for fmt in Format if f"`{fmt.value}`" not in PAGE] == []
    assert [shape for shape in Shape if shape.value not in PAGE] == []


def test_the_client_compiles():
    script = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]

    compile(script, "upload.py", "exec")
    assert len(script.splitlines()) <= 42
