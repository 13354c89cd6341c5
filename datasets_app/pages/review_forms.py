"""What people type to open a review, to deal it out and to rule on a row."""

import random
from typing import Any

from django import forms

from datasets_app import selectors
from datasets_app.domain.reviewing import REASONS
from datasets_app.models import DatasetVersion
from datasets_app.selectors import review as reads
from projects.domain.formatting import number
from projects.models import Project, User

WITH_VALUE = {"label": "Rows with the label …", "tag": "Rows with the tag …", "text": "Rows that hold the text …"}


class RoundForm(forms.Form):
    """A new review of one version; `opening` gives the arguments of the service."""

    name = forms.CharField(max_length=120)
    instructions = forms.CharField(
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What makes an answer right, shown beside the queue. Examples of doubtful cases help most.",
    )
    rows = forms.ChoiceField(required=False, label="Which rows")
    value = forms.CharField(
        required=False,
        max_length=200,
        label="Label, tag or text",
        help_text="Only for rows with a label, a tag or a text.",
    )
    amount = forms.CharField(
        required=False,
        max_length=12,
        label="How many of them",
        help_text="Empty for all. “200” or “10 %” draws a sample by lot.",
    )
    double = forms.FloatField(
        initial=10,
        min_value=0,
        max_value=100,
        label="Seen by two people, in %",
        help_text="Their agreement says how far one person's verdict can be trusted. 0 switches it off.",
    )
    people = forms.ModelMultipleChoiceField(
        User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Dealt out to",
        help_text="Evenly. Tick nobody, and rows go to whoever comes first.",
    )
    seed = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, help_text="The same seed draws the same rows and the same pairs of eyes."
    )

    def __init__(self, *args: Any, version: DatasetVersion, chosen: str = "", **kwargs: Any) -> None:
        initial = {"name": f"Review of v{version.number}", "rows": chosen, "seed": random.randrange(10**6)}
        super().__init__(*args, **{"initial": initial} | kwargs)
        self.fields["rows"].choices = self._choices(version)  # type: ignore[attr-defined]
        self.fields["people"].queryset = reads.reviewers(version.project)  # type: ignore[attr-defined]

    def _choices(self, version: DatasetVersion) -> list[tuple[str, str]]:
        found = [
            (f"finding:{f.code}", f"Rows with “{f.title}” ({number(f.count)})")
            for f in selectors.findings(version)
            if f.rows
        ]
        return [("", f"All {number(version.rows)} rows"), *found, *WITH_VALUE.items()]

    def clean_amount(self) -> dict[str, Any]:
        text = self.cleaned_data["amount"].replace(" ", "").replace("\u202f", "").replace(",", ".")
        if not text:
            return {}
        figure, share = text.removesuffix("%"), text.endswith("%")
        try:
            return {"share": float(figure) / 100} if share else {"number": int(figure)}
        except ValueError:
            raise forms.ValidationError("Write a number such as 200, or a share such as 10 %.") from None

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("rows") in WITH_VALUE and not found.get("value", "").strip():
            self.add_error("value", f"Say which {found['rows']}.")
        return found

    def opening(self) -> dict[str, Any]:
        said = self.cleaned_data
        name, _, code = said["rows"].partition(":")
        scope = {name: code or said["value"]} if name else {}
        return {
            "name": said["name"],
            "instructions": said["instructions"],
            "scope": scope | said["amount"],
            "seed": said["seed"],
            "double_share": said["double"] / 100,
            "people": list(said["people"]),
        }


class AssignForm(forms.Form):
    people = forms.ModelMultipleChoiceField(
        User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Rows that wait go to",
        help_text="Dealt out evenly. Tick nobody, and they go to whoever comes first.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["people"].queryset = reads.reviewers(project)  # type: ignore[attr-defined]


class RulingForm(forms.Form):
    """Either one of the decisions as it stands (`decision`), or a verdict of one's own."""

    decision = forms.IntegerField(required=False, min_value=1)
    verdict = forms.CharField(required=False, max_length=10)
    answer = forms.CharField(required=False, strip=False, widget=forms.Textarea)
    reason = forms.CharField(required=False, max_length=300)


QUEUE_REASONS = list(enumerate(REASONS, 1))
