"""The components of templates/components, rendered as pages include them."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import engines
from django.test import RequestFactory
from django.urls import clear_script_prefix, set_script_prefix
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe

from projects.templatetags import luthier


class RecipeForm(forms.Form):
    name = forms.CharField(help_text="How people find it.")
    method = forms.ChoiceField(choices=[("sft", "SFT"), ("dpo", "DPO")], widget=forms.RadioSelect)
    layers = forms.MultipleChoiceField(
        choices=[("q", "Attention")], widget=forms.CheckboxSelectMultiple, required=False
    )
    base = forms.ChoiceField(choices=[("1", "tiny")])
    sure = forms.BooleanField(required=False)


def render(component, arguments="", address="/", **context):
    source = f'{{% include "components/{component}.html" with {arguments} only %}}'
    if not arguments:
        source = f'{{% include "components/{component}.html" only %}}'
    return engines["django"].from_string(source).render(context, RequestFactory().get(address))


def test_a_state_is_word_icon_and_tone():
    html = render("badge", "state=state", state="changes_requested")
    assert "Changes requested" in html
    assert "tone-attention" in html
    assert "icons.svg#message-circle" in html


def test_a_tone_badge_understands_other_names_of_tones():
    assert "tone-failed" in render("tone_badge", 'tone="danger" label="Leaked"')
    assert "<svg" not in render("tone_badge", 'tone="danger" label="Leaked" icon="none"')


def test_what_people_typed_is_escaped_everywhere():
    evil = '"><script>x</script>'
    for component, arguments in [
        ("alert", 'tone="failed" title=evil text=evil'), ("stat", "label=evil value=evil hint=evil"),
        ("hash", "value=evil"), ("copy", "value=evil"), ("help", "text=evil"), ("person", "user=evil"),
        ("empty", "title=evil text=evil"), ("badge", "state=evil"), ("tone_badge", "tone=evil label=evil"),
        ("confirm", 'id="x" title=evil text=evil label=evil action=evil'),
        ("data_table", "table=table caption=evil"), ("figure", 'id="f" figure=table title=evil table=table'),
    ]:  # fmt: skip
        html = render(component, arguments, evil=evil, table={"head": [evil], "rows": [[evil]]})
        assert "<script>x" not in html, component


def test_a_form_inside_an_isolated_include_still_carries_the_token():
    assert 'name="csrfmiddlewaretoken"' in render("form", "form=form", form=RecipeForm())
    assert 'name="csrfmiddlewaretoken"' in render("confirm", 'id="a" title="T" label="Go" action="/x"')
    assert 'name="csrfmiddlewaretoken"' not in render("form", 'form=form method="get"', form=RecipeForm())


def test_a_field_ties_label_help_and_error_to_its_control():
    html = render("form", "form=form", form=RecipeForm({"method": "sft"}))
    assert '<label class="form-label required" for="id_name">' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert "is-invalid" in html
    assert "Not saved yet" in html


def test_every_kind_of_control_gets_its_class():
    html = render("form", "form=form", form=RecipeForm())
    assert html.count("form-check-input") == 4
    assert "form-select" in html
    assert html.count("<fieldset") == 2


def test_a_chart_brings_its_data_and_its_table():
    table = {"head": ["Step", "Loss"], "rows": [[1, 0.5], ["end", None]]}
    html = render("figure", 'id="loss" figure=figure title="Loss fell" table=table', figure={"data": []}, table=table)
    assert '<script id="loss-data" type="application/json">{"data": []}</script>' in html
    assert 'data-figure="loss-data"' in html
    assert '<td class="num">0.5</td>' in html
    assert "<td>end</td>" in html


def test_progress_knows_its_end_or_admits_that_it_does_not():
    html = render("progress", 'done=120 total=5000 label="Steps"')
    assert 'value="120" max="5000"' in html
    assert "120 of 5\u202f000 · 2\u202f%" in html
    assert "value=" not in render("progress", 'label="Reading"')


def test_a_pager_keeps_the_search_and_stops_at_the_ends():
    page = Paginator(range(60), 25).page(1)
    html = render("pager", "page=page", "/?q=a%26b", page=page)
    assert 'href="?q=a%26b&amp;page=2"' in html
    assert 'rel="prev"' not in html
    assert "1–25 of 60" in html
    assert render("pager", "page=page", page=Paginator(range(3), 25).page(1)).strip() == ""


def test_a_cursor_pager_takes_addresses():
    html = render("pager", "next_url=url", url="?cursor=x")
    assert 'rel="next" href="?cursor=x"' in html


def test_a_confirmation_asks_for_a_reason_when_told():
    assert "required" in render("confirm", 'id="a" title="T" label="Go" action="/x" reason="required"')
    assert "optional" in render("confirm", 'id="a" title="T" label="Go" action="/x" reason=True')
    assert "<textarea" not in render("confirm", 'id="a" title="T" label="Go" action="/x"')


@pytest.mark.parametrize("name", ["money", "duration", "sig3", "percent", "points", "byte_size", "count", "short_hash"])
def test_what_is_not_known_is_a_dash(name):
    assert getattr(luthier, name)(None) == "–"


def test_a_time_shows_both_kinds():
    html = luthier.ago(timezone.now() - timedelta(minutes=5))
    assert "5\u202fmin ago</time>" in html
    assert "title=" in html
    assert "data-ago" in html
    assert luthier.ago(None) == luthier.exact(None) == "–"
    assert "UTC</time>" in luthier.exact(timezone.now())


NUMBERS = [1, "12.3\u202f%", "−4.0\u202fpp", "€1\u202f234.50", "–"]
WORDS = ["v3", "", "3 of 5 rows"]


@pytest.mark.parametrize(("cell", "right"), [(c, True) for c in NUMBERS] + [(c, False) for c in WORDS])
def test_figures_in_tables_go_to_the_right(cell, right):
    assert luthier.is_number(cell) is right


def test_a_share_never_passes_one():
    assert luthier.share_of(7, 5) == 1
    assert luthier.share_of(7, 0) is None


def test_a_page_without_a_request_has_no_token():
    assert luthier.csrf_field(SimpleNamespace()) == ""


def test_a_row_for_each_of_many_is_filled_and_escaped():
    from django.template import Context, Template

    rows = [
        {"url": "/a?x=1&y=2", "pk": 1, "name": "<script>", "sub": "", "tone": "failed", "icon": "x", "word": "Failed"}
        | dict.fromkeys(("more", "data", "base", "loss", "rate", "duration", "cost"), "–")
        | {"started": "\\1 {{ name }}"},
    ] * 2
    shown = Template('{% load luthier %}{% many "training/_run_row.html" rows %}').render(Context({"rows": rows}))

    assert shown.count("<tr") == 2
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "\\1 {{ name }}" in shown
    assert "\0" not in shown


@pytest.mark.parametrize("odd", ["a\0<b>", "{pk} {0} {{", "&amp;"])
def test_odd_cells_are_written_as_single_ones_are(odd):
    values = [odd, mark_safe("<b>1</b>"), 7, None, odd]
    assert luthier.all_written(values) == [str(conditional_escape(value)) for value in values]


def test_braces_and_percents_in_a_row_are_no_places():
    from django.template import Context, Template

    row = {"url": "{}%s", "pk": "{0}%(pk)s", "name": "{name}"}
    rows = [row | dict.fromkeys(("sub", "tone", "icon", "word", "more", "data", "base", "loss", "rate"), "}{")]
    rows[0] |= dict.fromkeys(("duration", "cost", "started"), "{{")
    shown = Template('{% load luthier %}{% many "training/_run_row.html" rows %}').render(Context({"rows": rows}))
    assert 'href="{}%s"' in shown
    assert 'data-pick="{0}%(pk)s"' in shown
    assert ">{name}</a>" in shown
    assert shown.count("{{") == 3


def test_options_are_escaped_and_the_chosen_one_is_selected():
    told = luthier.options([("a", "A & B"), ('"x', mark_safe("<i>"))], '"x')
    assert told == '<option value="a">A &amp; B</option><option value="&quot;x" selected><i></option>'
    assert luthier.options([], "a") == ""


def test_an_icon_keeps_its_classes_and_is_escaped():
    assert 'class="icon big"' in luthier.icon("x", "big")
    assert "&quot;&gt;" in luthier.icon('">')
    assert luthier.icon("x") != luthier.icon("x", "big") != luthier.icon("y", "big")


def test_rooms_are_those_of_the_project_and_place_whatever_was_shown_before():
    from projects.templatetags.kept import rooms

    first, other = rooms("one", "training"), rooms("two", "costs")

    assert rooms("one", "training") == first
    assert 'href="/projects/one/runs/" aria-current="page"' in first
    assert first.count("aria-current") == other.count("aria-current") == 1
    assert "/projects/one/" not in other
    assert 'href="/projects/two/costs/" aria-current="page"' in other
    set_script_prefix("/luthier/")
    try:
        assert 'href="/luthier/projects/one/runs/"' in rooms("one", "training")
    finally:
        clear_script_prefix()
    assert rooms("one", "training") == first
