"""Forms of the dataset pages."""

from typing import Any

from django import forms
from django.http import QueryDict

from datasets_app.domain.formats.base import FORMAT_LABELS
from datasets_app.domain.provenance import ORIGIN_NAMES, UNKNOWN
from datasets_app.domain.purposes import PURPOSE_HELP, Purpose

PURPOSES = [
    (Purpose.TRAINING.value, f"Training — {PURPOSE_HELP[Purpose.TRAINING]}"),
    (Purpose.GOLDEN.value, f"Golden set — {PURPOSE_HELP[Purpose.GOLDEN]}"),
    (Purpose.RETENTION.value, f"Retention set — {PURPOSE_HELP[Purpose.RETENTION]}"),
]
FORMATS = [
    ("", "Detect from the content"),
    *[(f.value, f"{name} — {keys}") for f, (name, keys) in FORMAT_LABELS.items()],
]
ORIGINS = [("", ORIGIN_NAMES[UNKNOWN]), *[(name, label) for name, label in ORIGIN_NAMES.items() if name != UNKNOWN]]


class DatasetForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="Unique in this project, for example “ticket routing”.")
    purpose = forms.ChoiceField(choices=PURPOSES, widget=forms.RadioSelect, initial=Purpose.TRAINING.value)
    description = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Where the rows come from, and who may use them.",
    )


class FormatForm(forms.Form):
    forced_format = forms.ChoiceField(
        choices=FORMATS,
        required=False,
        label="Read as",
        help_text="The same file is read again; this reading and its version stay as they are.",
    )


class UploadOptionsForm(forms.Form):
    """What is said about a file as it is brought; everything may be left as it is."""

    forced_format = forms.ChoiceField(choices=FORMATS, required=False, label="Read as")
    origin = forms.ChoiceField(
        choices=ORIGINS, required=False, label="Written by", help_text="Counts for rows that do not say it themselves."
    )
    teacher = forms.CharField(
        required=False, max_length=120, label="Model that wrote it", help_text="If a model wrote the rows."
    )
    licence = forms.CharField(required=False, max_length=120, help_text="For example CC-BY-4.0, or “internal”.")
    hold = forms.BooleanField(
        required=False,
        initial=True,
        label="Wait when rows are bad",
        help_text="Then they can be mended and join this version. Otherwise it is made at once, without them.",
    )
    mends = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def options(self) -> dict[str, Any]:
        """What the services call these; what is not understood is refused there by name."""
        about = {name: self.data.get(name, "") for name in ("origin", "teacher", "licence")}
        return {
            "forced_format": self.data.get("forced_format", ""),
            "provenance": {name: value for name, value in about.items() if value},
            "hold": self.data.get("hold") in ("on", "true", "1"),
            "mends": self.data.get("mends") or None,
        }


def mapping_from(fields: QueryDict) -> dict[str, dict[str, str]]:
    """A mapping out of the fields of its form: `column:theirs` = ours, `turn:theirs`, `role:theirs`.

    What is called the same in both is no part of a mapping; “-” leaves a column out.
    """
    found: dict[str, dict[str, str]] = {"columns": {}, "turns": {}, "roles": {}}
    parts = {"column": "columns", "turn": "turns", "role": "roles"}
    for name, given in fields.items():
        ours = str(given)
        kind, colon, theirs = name.partition(":")
        if colon and kind in parts and ours and ours != theirs:
            found[parts[kind]][theirs] = "" if ours == "-" else ours
    return {name: part for name, part in found.items() if part}
