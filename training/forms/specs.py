"""A form that takes a spec of another tool, and what such a spec fills the form of a run with."""

from typing import Any

from django import forms

from training import selectors
from training.domain import dialects


class SpecForm(forms.Form):
    """A spec of another tool, pasted or as a file, to begin a run with."""

    text = forms.CharField(
        label="Paste the spec",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "code-input"}),
    )
    file = forms.FileField(label="Or choose its file", required=False, allow_empty_file=True)
    tool = forms.ChoiceField(
        label="Whose words are they?",
        required=False,
        choices=[("", "Found out from its keys"), *((one.name, one.label) for one in dialects.DIALECTS.values())],
    )
    gpus = forms.IntegerField(
        label="GPUs it ran on",
        required=False,
        min_value=1,
        max_value=1024,
        initial=1,
        help_text="More than one become accumulated batches, so that as many rows make a step on any number of cards.",
    )
    without = forms.CharField(required=False, max_length=4000, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """The text of the file, if there is one; what it holds is read in the domain."""
        cleaned = super().clean() or {}
        file = cleaned.get("file")
        if file is not None:
            cleaned["text"] = file.read(dialects.MOST_BYTES + 1).decode("utf-8", "replace")
        return cleaned

    @property
    def asked(self) -> dict[str, Any]:
        data = self.cleaned_data
        without = [key for key in data["without"].splitlines() if key]
        return {"text": data["text"], "tool": data["tool"], "gpus": data["gpus"] or 1, "without": without}


def from_spec(understood: selectors.Understood) -> dict[str, Any]:
    """What a spec says, as values of the form. A part that it names and that is not here is left to be chosen."""
    recipe = understood.reading.recipe
    values: dict[str, Any] = recipe | {"target_modules": ", ".join(recipe["target_modules"])}
    for name in ("base", "dataset_version", "validation_version", "parent"):
        if understood.names(name):
            values[name] = understood.pk(name)
    if understood.reading.name:
        values["name"] = understood.reading.name
    return values
