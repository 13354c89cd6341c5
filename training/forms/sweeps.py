"""The form of a sweep: that of a run, with what varies written beside it."""

from collections.abc import Iterator
from typing import Any

from django import forms

from datasets_app.models import DatasetVersion
from projects.domain.errors import Refused
from projects.forms import add_refusal
from projects.models import Project
from training.domain.knobs import KNOBS
from training.domain.sweeps import space
from training.domain.sweeps.space import DATA, FIXED
from training.forms.runs import RunForm
from training.models import STOPPING, STRATEGIES

EXAMPLES = {
    "rank": "8, 16, 32",
    "alpha": "16, 32, 64",
    "learning_rate": "1e-5 .. 1e-3 log",
    "epochs": "1, 2, 3",
    "batch_size": "4, 8",
    "beta": "0.05, 0.1, 0.3",
}
MORE = ("dropout", "warmup", "scheduler", "accumulation", "packing", "seed")
PREFIX = "try_"


class SweepForm(RunForm):
    """Fields “try_rank” and so on hold values or a range; what is left empty is the same in all runs."""

    strategy = forms.ChoiceField(label="How points are chosen", choices=STRATEGIES, initial="grid")
    runs = forms.IntegerField(
        label="Runs", required=False, min_value=0, max_value=space.MOST_RUNS, help_text="A grid takes all combinations."
    )
    at_once = forms.IntegerField(label="Runs at once", initial=2, min_value=1, max_value=16)
    sweep_seed = forms.IntegerField(
        label="Seed of the points", initial=0, min_value=0, max_value=2**31 - 1, required=False
    )
    stopping = forms.ChoiceField(label="Stop hopeless runs early", choices=STOPPING, initial="none")
    grace = forms.FloatField(
        label="Not before",
        initial=30,
        min_value=5,
        max_value=90,
        help_text="Share of its steps that every run gets first, in per cent.",
    )
    golden: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        label="Judge by a golden set",
        required=False,
        empty_label="No, by the loss",
        help_text="Every adapter is evaluated on it, and the proposal rests on its rows.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, project=project, **kwargs)
        del self.fields["parent"], self.fields["leak_reason"], self.fields["budget_reason"]
        self.fields[
            "validation_version"
        ].help_text = "Rows kept out of training. Without a golden set, their loss at the end says which run is best."
        self.fields["name"].help_text = "For people: “rank and rate for the router”."
        golden = DatasetVersion.objects.filter(dataset__project=project, dataset__purpose="golden", rows__gt=0)
        self.fields["golden"].queryset = golden.select_related("dataset").order_by("-pk")  # type: ignore[attr-defined]
        for name in (*EXAMPLES, *MORE):
            knob = next(one for one in KNOBS if one.name == name)
            widget = forms.TextInput(attrs={"placeholder": EXAMPLES.get(name, ""), "autocomplete": "off"})
            self.fields[PREFIX + name] = forms.CharField(
                label=knob.label, required=False, max_length=300, widget=widget
            )
        versions = self.fields["dataset_version"].queryset  # type: ignore[attr-defined]
        self.fields[PREFIX + DATA] = forms.ModelMultipleChoiceField(
            queryset=versions, required=False, label="Data", widget=forms.SelectMultiple(attrs={"size": 4})
        )

    def tried(self) -> Iterator[tuple[Any, str]]:
        """What is varied most, with the methods it is for."""
        for name in EXAMPLES:
            yield self[PREFIX + name], "dpo" if name == "beta" else "sft-dpo"

    def tried_more(self) -> Iterator[Any]:
        yield self[PREFIX + DATA]
        for name in MORE:
            yield self[PREFIX + name]

    def clean_grace(self) -> float:
        return float(self.cleaned_data["grace"]) / 100

    @property
    def space(self) -> list[dict[str, Any]]:
        """What varies, as the domain reads it; of knobs that the method has."""
        method, found = self.cleaned_data.get("method", "sft"), []
        for knob in KNOBS:
            if knob.name not in FIXED and method in knob.methods:
                found.append(space.written(self.cleaned_data.get(PREFIX + knob.name, ""), knob.name))
        if versions := self.cleaned_data.get(PREFIX + DATA):
            found.append({"name": DATA, "values": [one.pk for one in versions]})
        return [one for one in found if one]

    @property
    def parts(self) -> dict[str, Any]:
        data = self.cleaned_data
        told = {name: data[name] for name in ("name", "base", "strategy", "at_once", "stopping", "grace", "golden")}
        return told | {
            "version": data["dataset_version"],
            "validation": data["validation_version"],
            "recipe": self.recipe,
            "space": self.space,
            "runs": data["runs"] or 0,
            "seed": data["sweep_seed"] or 0,
        }

    def refuse(self, refused: Refused) -> None:
        """At the field that says what varies, where the refusal is about that."""
        if getattr(refused, "code", "") == "bad_space" or (refused.field and self.data.get(PREFIX + refused.field)):
            for field in (PREFIX + (refused.field or ""), PREFIX + "rank"):
                if field in self.fields:
                    self.add_error(field, refused.message)
                    return
        add_refusal(self, refused)
