"""Template tags and filters: formatting, icons, state looks and form controls."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from html import escape
from operator import itemgetter
from typing import Any

from django import template
from django.forms import BoundField
from django.http import QueryDict
from django.middleware.csrf import get_token
from django.template.loader import get_template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from projects.domain import formatting, looks

register = template.Library()
PLACE = re.compile("\0(\\w+)\0")  # where a value goes: the database keeps no NUL, and neither does a template

CONTROL_CLASSES = {
    "checkbox": "form-check-input",
    "radio": "form-check-input",
    "select": "form-select",
    "selectmultiple": "form-select",
    "range": "form-range",
    "hidden": "",
}


def shown(write: Callable[..., str], value: Any, *args: Any) -> str:
    """Write a value, or the dash that stands for "not known"."""
    if value is None or value == "":
        return formatting.NOTHING
    return write(value, *args)


@register.filter
def money(value: Any, currency: str = "EUR") -> str:
    return shown(formatting.money, value, currency)


@register.filter
def duration(value: Any) -> str:
    return shown(formatting.duration, value)


@register.filter
def sig3(value: Any) -> str:
    return shown(formatting.sig3, value)


@register.filter
def percent(value: Any, decimals: int = 1) -> str:
    return shown(formatting.percent, value, decimals)


@register.filter
def points(value: Any, decimals: int = 1) -> str:
    return shown(formatting.points, value, decimals)


@register.filter(name="bytes")
def byte_size(value: Any) -> str:
    return shown(formatting.size, value)


@register.filter
def count(value: Any) -> str:
    return shown(formatting.number, value)


@register.filter
def times(value: Any) -> str:
    return shown(formatting.times, value)


@register.filter
def short_hash(value: Any) -> str:
    return shown(formatting.short_hash, value)


@register.filter
def initials(value: Any) -> str:
    return formatting.initials(str(value))


@register.filter
def ago(value: datetime | None) -> str:
    """<time>, relative, with the exact moment on hover; the page's script keeps it fresh."""
    if not value:
        return formatting.NOTHING
    return moment_ago(timezone.localtime(value), timezone.localtime())


def moment_ago(local: datetime, now: datetime) -> SafeString:
    """The same of a moment that is local already; nothing in it needs to be escaped."""
    machine, exactly, ago = (
        local.isoformat(timespec="seconds"),
        formatting.exact(local),
        formatting.relative(local, now),
    )
    return SafeString(f'<time datetime="{machine}" title="{exactly}" data-ago>{ago}</time>')


@register.filter
def exact(value: datetime | None) -> str:
    """The moment itself, as <time>."""
    if not value:
        return formatting.NOTHING
    local = timezone.localtime(value)
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), formatting.exact(local))


@register.filter
def pretty(value: Any) -> str:
    """JSON for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def is_number(value: Any) -> bool:
    """Whether a table cell holds a figure and so belongs to the right."""
    text = str(value).strip().lstrip("+-" + formatting.MINUS).lstrip("€$£¥")
    text = text.split(formatting.NARROW)[0].rstrip("%").replace(",", "").strip()
    try:
        Decimal(text)
    except InvalidOperation:
        return str(value) == formatting.NOTHING
    return True


@register.filter
def look(state: Any) -> looks.Look:
    return looks.look_of(str(getattr(state, "value", state)))


@register.filter
def tone(name: Any) -> str:
    return looks.tone_of(str(name or ""))


@register.filter
def tone_icon(name: Any) -> str:
    return looks.TONE_ICONS[looks.tone_of(str(name or ""))]


@register.filter
def notice_icon(name: Any) -> str:
    """A notice in blue informs; only a state in blue runs."""
    seen = looks.tone_of(str(name or ""))
    return "info-circle" if seen in {"running", "waiting"} else looks.TONE_ICONS[seen]


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """One icon of the sprite; decoration only, the word beside it speaks."""
    return _icon(str(name), str(classes), _sprite())


@cache
def _sprite() -> str:
    """Its address, which stays the same while a process lives; a page has some fifty icons."""
    return static("vendor/icons.svg")


@lru_cache(1024)
def _icon(name: str, classes: str, sprite: str) -> SafeString:
    shape = '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>'
    return format_html(shape, classes, sprite, name)


@register.simple_tag
def options(choices: Iterable[tuple[Any, Any]], chosen: Any) -> SafeString:
    """<option> for each (value, words), the chosen one selected."""
    return mark_safe(
        "".join(
            f'<option value="{written(value)}"{" selected" if value == chosen else ""}>{written(words)}</option>'
            for value, words in choices
        )
    )


def written(value: Any) -> str:
    """Escaped unless it is safe already: what `conditional_escape` does, without asking whether it is lazy first."""
    return value if isinstance(value, SafeString) else escape(str(value))


@register.simple_tag
def many(name: str, rows: Sequence[Mapping[str, Any]]) -> SafeString:
    """A template for each of many rows of the same keys: it is rendered once, and its places filled row by row.

    A hundred rows of a dozen cells take a tenth of the time of a loop. The template shows plain {{ key }}s: it cannot
    decide or look anything up.
    """
    if not rows:
        return mark_safe("")
    parts = PLACE.split(get_template(name).render({key: f"\0{key}\0" for key in rows[0]}))
    texts, keys = parts[0::2], parts[1::2]
    frame, used = "%s".join(text.replace("%", "%%") for text in texts), list(dict.fromkeys(keys))
    cells, filled = _taking(used), _taking([used.index(key) for key in keys])
    safe, wide = all_written([cell for row in rows for cell in cells(row)]), len(used)
    return SafeString("".join([frame % filled(safe[start : start + wide]) for start in range(0, len(safe), wide)]))


def _taking(places: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """What stands at these places, as a tuple however many they are."""
    return itemgetter(*places) if len(places) > 1 else lambda row: tuple(row[place] for place in places)


def all_written(values: list[Any]) -> list[str]:
    """Each as `written` would, in one go: of a page's two thousand cells hardly one has what is to be escaped."""
    text = "\0".join(map(str, values))
    if text.count("\0") != len(values) - 1:
        return [written(value) for value in values]
    return [
        value if isinstance(value, SafeString) else plain
        for value, plain in zip(values, escape(text).split("\0"), strict=True)
    ]


@register.simple_tag(takes_context=True)
def csrf_field(context: template.Context) -> SafeString | str:
    """The CSRF input, also inside a component that was included with `only`."""
    request = getattr(context, "request", None)
    if request is None:
        return ""
    return format_html('<input type="hidden" name="csrfmiddlewaretoken" value="{}">', get_token(request))


@register.filter
def widget_kind(field: BoundField) -> str:
    """checkbox, radio, checkboxes, select, file, hidden or input: how field.html lays a field out."""
    kind = getattr(field.field.widget, "input_type", "") or "input"
    many = getattr(field.field.widget, "allow_multiple_selected", False)
    if kind in {"checkbox", "radio"} and hasattr(field.field, "choices"):
        return "checkboxes" if many else "radio"
    return kind if kind in {"checkbox", "hidden", "file", "select"} else "input"


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The widget of a bound field with Tabler's classes; what the form already set stays."""
    widget = field.field.widget
    kind = getattr(widget, "input_type", "")
    classes = [CONTROL_CLASSES.get(kind, "form-control"), widget.attrs.get("class", "")]
    if field.errors:
        classes.append("is-invalid")
    return field.as_widget(attrs={"class": " ".join(filter(None, classes))})


@register.simple_tag
def choice_control(choice: Any) -> SafeString:
    """One radio button or checkbox of a group, with Tabler's class."""
    choice.data["attrs"]["class"] = "form-check-input"
    return choice.tag()


@register.filter
def share_of(done: Any, total: Any) -> float | None:
    """done / total, at most 1; nothing without a total."""
    return min(1.0, float(done or 0) / float(total)) if total else None


@register.filter
def unlocalized(value: Any) -> str:
    """A number as HTML attributes want it, whatever the language of the page."""
    return str(value)


@register.simple_tag(takes_context=True)
def page_url(context: template.Context, page: Any, direction: str, param: str = "page") -> str:
    """Address of the page before or after, keeping filters and searches; empty at either end."""
    has, number = (page.has_next(), page.number + 1) if direction == "next" else (page.has_previous(), page.number - 1)
    if not has:
        return ""
    request = getattr(context, "request", None)
    query = request.GET.copy() if request else QueryDict(mutable=True)
    query[param or "page"] = str(number)
    return f"?{query.urlencode()}"
