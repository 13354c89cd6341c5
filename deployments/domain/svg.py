"""The lineage as SVG: the same drawing in a page, where its style sheet colours it, and as a file that stands alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from deployments.domain.layout import Box, Drawing

LETTERS = 23
# The colours of the style sheet for a file of its own, light and dark.
STYLE = """
svg{--s:#fff;--b:#c2c9d4;--t:#0d1420;--m:#566175;--v:#6836ab;background:#f5f6f8;font-family:Inter,system-ui,sans-serif}
@media(prefers-color-scheme:dark){svg{--s:#171d27;--b:#465364;--t:#f7f9fc;--m:#9ba8ba;--v:#caabf7;background:#0f141b}}
.lineage-line{fill:none;stroke:var(--b);stroke-width:1.25}.lineage-line.is-back{stroke-dasharray:4 3}
.lineage-arrow{fill:var(--b)}.lineage-box{fill:var(--s);stroke:var(--b)}.lineage-edge{fill:var(--kind,#7a8698)}
.lineage-label{fill:var(--t);font-size:12.5px;font-weight:550}.lineage-sub{fill:var(--m);font-size:11px}
.is-stale .lineage-box{stroke:var(--v);stroke-dasharray:5 3}.is-stale .lineage-sub{fill:var(--v)}
.kind-dataset{--kind:#007e5a}.kind-golden{--kind:#c18821}.kind-retention{--kind:#0099b5}.kind-run{--kind:#2f7fdb}
.kind-adapter{--kind:#4a64c8}.kind-evaluation{--kind:#7b36fe}.kind-request{--kind:#f00779}
.kind-deployment{--kind:#cc2c0c}.kind-merge{--kind:#8b5797}.kind-quantisation{--kind:#579cb9}
.kind-equivalence{--kind:#8389f3}
"""


@dataclass(frozen=True)
class Cell:
    """What is written in a box. `many` is how many nodes it stands for."""

    label: str
    sub: str
    kind: str
    href: str
    title: str
    stale: bool = False
    focus: bool = False
    selected: bool = False
    live: bool = False
    many: int = 1


def draw(drawing: Drawing, cells: Mapping[str, Cell], *, name: str, alone: bool = False) -> str:
    """Whole markup of the drawing; every text in it is escaped."""
    size = f'width="{drawing.width}" height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}"'
    own = 'xmlns="http://www.w3.org/2000/svg" ' if alone else ""
    parts = [f'<svg class="lineage-svg" {own}{size} role="group" aria-label="{escape(name)}">']
    if alone:
        parts.append(f"<title>{escape(name)}</title><style>{STYLE}</style>")
    parts.append(
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="9" markerHeight="9" '
        'markerUnits="userSpaceOnUse" orient="auto"><path class="lineage-arrow" d="M0 0L8 4L0 8z"></path></marker>'
        "</defs>"
    )
    for line in drawing.lines:
        back = " is-back" if line.backwards else ""
        ends = f'data-source="{escape(line.source)}" data-target="{escape(line.target)}"'
        parts.append(f'<path class="lineage-line{back}" {ends} d="{line.path}" marker-end="url(#arrow)"></path>')
    ordered = sorted(drawing.boxes, key=lambda box: (box.layer, box.y))
    parts += [_box(box, cells[box.node], alone) for box in ordered]
    return "".join(parts) + "</svg>"


def _box(box: Box, cell: Cell, alone: bool) -> str:
    flags = {"is-stale": cell.stale, "is-focus": cell.focus, "is-selected": cell.selected, "is-live": cell.live}
    classes = " ".join(["lineage-node", f"kind-{quote(cell.kind)}", *(name for name, on in flags.items() if on)])
    current = ' aria-current="true"' if cell.selected else ""
    behind = ""
    if cell.many > 1:  # a stack of cards
        behind = f'<rect class="lineage-box" x="{box.x + 4}" y="{box.y + 4}" {_size(box)}></rect>'
    inside = (
        f"<title>{escape(cell.title)}</title>{behind}"
        f'<rect class="lineage-box" x="{box.x}" y="{box.y}" {_size(box)}></rect>'
        f'<rect class="lineage-edge" x="{box.x}" y="{box.y}" width="4" height="{box.height}" rx="2"></rect>'
        f'<text class="lineage-label" x="{box.x + 12}" y="{box.y + 20}">{escape(short(cell.label))}</text>'
        f'<text class="lineage-sub" x="{box.x + 12}" y="{box.y + 36}">{escape(short(cell.sub, LETTERS + 4))}</text>'
    )
    if alone:
        return f'<g class="{classes}">{inside}</g>'
    data = f'data-node="{escape(box.node)}" data-layer="{box.layer}"'
    return f'<a class="{classes}" href="{escape(cell.href)}" {data}{current}>{inside}</a>'


def _size(box: Box) -> str:
    return f'width="{box.width}" height="{box.height}" rx="6"'


def short(text: str, letters: int = LETTERS) -> str:
    """Names often differ at their end: the middle is left out."""
    if len(text) <= letters:
        return text
    tail = letters // 3
    return f"{text[: letters - tail - 1]}…{text[-tail:]}"
