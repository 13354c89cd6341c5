"""Forms of the dataset pages."""

from django import forms

from datasets_app.domain.formats.base import FORMAT_LABELS
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
