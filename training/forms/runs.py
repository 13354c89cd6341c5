"""Forms of bases, imports and runs. Ranges are checked in the domain, so that page and API say the same."""

from collections.abc import Iterator
from typing import Any

from django import forms

from projects.domain.turns import Priority
from projects.models import Project
from projects.selectors.workers import most_cards
from training import selectors
from training.domain import recipe as recipes
from training.domain.recipe import KNOBS, Knob
from training.forms.decisions import DecisionReason
from training.services.bases import REPO_ID

OF_SEVERAL = ("devices", "sharding")  # knobs that mean nothing where no host has several cards
STEPS = {"learning_rate": "any", "dropout": "0.05", "warmup": "0.01", "beta": "any", "epochs": "any"}


class RegisterBaseForm(forms.Form):
    source = forms.ChoiceField(
        label="Where is the model?",
        choices=[("local", "In the models folder of this server"), ("hub", "On the Hugging Face hub")],
        widget=forms.RadioSelect,
        initial="local",
    )
    path = forms.ChoiceField(
        label="Folder", required=False, help_text="Folders below the models folder that hold a config.json."
    )
    repo_id = forms.CharField(
        label="Hub id", required=False, max_length=200, help_text="For example Qwen/Qwen2.5-1.5B-Instruct."
    )
    revision = forms.CharField(
        required=False,
        max_length=100,
        help_text="A commit hash is safest. A branch or tag is resolved to the commit it means today.",
    )
    name = forms.CharField(
        required=False, max_length=200, help_text="How adapters will name their base. Left empty: the folder or hub id."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = [(name, name) for name in selectors.local_folders()]
        self.fields["path"].choices = found or [("", "No model in the models folder yet")]  # type: ignore[attr-defined]
        self.fields["repo_id"].widget.attrs["pattern"] = REPO_ID.pattern


class BaseChangeForm(forms.Form):
    """What no file of a base says; checked by the service."""

    licence = forms.CharField(
        required=False, max_length=100, help_text="As model cards name it: apache-2.0, llama3.1, gemma, qwen …"
    )
    licence_link = forms.CharField(label="Where its text is", required=False, max_length=500)
    terms = forms.CharField(
        label="Further terms",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What binds you besides, such as a contract with its maker. Reviewers of deployments read it.",
    )
    end_of_life = forms.DateField(
        label="End of life",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="The day from which its maker, or this team, no longer stands by it.",
    )
    reason = forms.CharField(
        label="Where this is known from",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="An announcement, a contract, a person. It stands in the history of this base.",
    )


class SeveralFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files of one control, as a list."""

    widget = SeveralFiles

    def clean(self, data: Any, initial: Any = None) -> Any:
        files = data if isinstance(data, list | tuple) else [data]
        return [super(FilesField, self).clean(file, initial) for file in files or [None]]  # none is what is refused


class ImportAdapterForm(forms.Form):
    """An adapter that was trained elsewhere: its files, and what is known of where it comes from."""

    files = FilesField(  # type: ignore[assignment]
        max_length=255,
        help_text="One ZIP archive, or adapter_config.json and adapter_model.safetensors together.",
        widget=SeveralFiles(attrs={"accept": ".zip,.json,.safetensors,.md,.jinja"}),
    )
    name = forms.CharField(max_length=120, help_text="How it will be called here.")
    source = forms.CharField(
        max_length=500,
        label="Where does it come from?",
        help_text="For example “trained by Ana on cluster B, ticket 214” or the address of its repository.",
    )
    base: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        label="Base model",
        required=False,
        empty_label="The one that its config names",
        help_text="Choose one only when the config does not say it: such a base stays unproven.",
    )
    dataset_version: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        label="Trained on",
        required=False,
        empty_label="Unknown",
        help_text="If its training data are a dataset here. Otherwise leaks of golden rows cannot be excluded.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["base"].queryset = selectors.ready_bases(project)  # type: ignore[attr-defined]
        self.fields["dataset_version"].queryset = selectors.trainable_versions(project)  # type: ignore[attr-defined]


class RunForm(forms.Form):
    """Which data, which base, which recipe."""

    name = forms.CharField(max_length=120, help_text="For people: “router, second try with more rows”.")
    leak_reason = forms.CharField(
        required=False,
        max_length=2000,
        label="Why train on rows of a golden set",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It is kept with the run. Better: drop these rows first.",
    )
    budget_reason = forms.CharField(
        required=False,
        max_length=2000,
        label="Why start it beyond the budget",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Owners read it, and the run waits for their yes.",
    )
    base_decision_reason = DecisionReason()
    dataset_version: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, label="Training data", empty_label="Choose a version"
    )
    base: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, label="Base model", empty_label="Choose a base"
    )
    validation_version: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        label="Validation data",
        required=False,
        empty_label="None",
        help_text="Rows kept out of training: their loss, taken on the way, shows when a run only learns by heart.",
    )
    parent: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        label="Go on from an adapter",
        required=False,
        empty_label="No, start a new one",
        help_text="Optional: train an earlier adapter of the same base further.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("dataset_version", "validation_version"):
            self.fields[name].queryset = selectors.trainable_versions(project)  # type: ignore[attr-defined]
        self.fields["base"].queryset = selectors.ready_bases(project)  # type: ignore[attr-defined]
        self.fields["parent"].queryset = selectors.adapters(project)  # type: ignore[attr-defined]
        for knob in KNOBS:
            self.fields[knob.name] = _field(knob)
        if not self._may_take_several():
            for name in OF_SEVERAL:
                self.fields[name].widget = forms.HiddenInput()

    def _may_take_several(self) -> bool:
        """Is there a host with several cards, or does what the form is filled with ask for them?"""
        asked = (self.data.get("devices") if self.is_bound else self.initial.get("devices")) or 1
        return str(asked) != "1" or most_cards() > 1

    def knobs(self, *, expert: bool) -> Iterator[tuple[Any, str]]:
        """Fields with the method they are for (“sft”, “dpo” or “sft-dpo”), so that the page hides the others."""
        for knob in KNOBS:
            hidden = self.fields[knob.name].widget.is_hidden
            if knob.expert == expert and knob.name not in {"method", "cut"} and not hidden:
                yield self[knob.name], "-".join(sorted(knob.methods, reverse=True))

    def everyday(self) -> Iterator[tuple[Any, str]]:
        return self.knobs(expert=False)

    def for_experts(self) -> Iterator[tuple[Any, str]]:
        return self.knobs(expert=True)

    @property
    def recipe(self) -> dict[str, Any]:
        """The knobs that apply to the method, as the domain reads them."""
        method = self.cleaned_data["method"]
        return {knob.name: self.cleaned_data[knob.name] for knob in KNOBS if method in knob.methods}

    @property
    def parts(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "name": data["name"],
            "base": data["base"],
            "version": data["dataset_version"],
            "parent": data["parent"],
            "validation": data["validation_version"],
            "recipe": self.recipe,
            "base_decision_reason": data["base_decision_reason"],
        }

    @property
    def reasons(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("leak_reason", "budget_reason")}


def initial_run(project: Project) -> dict[str, Any]:
    """A form that is ready to go: the newest version, the newest base, the defaults of its method."""
    version = selectors.trainable_versions(project).first()
    base = selectors.ready_bases(project).first()
    method = "dpo" if version is not None and version.kind == "preference" else "sft"
    values = recipes.defaults(method) | {"target_modules": recipes.ALL_LINEAR}
    length = min(values["max_length"], base.context_length or values["max_length"]) if base else values["max_length"]
    return values | {"dataset_version": version, "base": base, "max_length": length, "name": _next_name(project)}


def _next_name(project: Project) -> str:
    return f"run {project.runs.count() + 1}"


def _field(knob: Knob) -> forms.Field:
    common: dict[str, Any] = {"label": knob.label, "help_text": knob.help, "initial": knob.default}
    match knob.kind:
        case "bool":
            return forms.BooleanField(required=False, **common)
        case "choice":
            widget = forms.RadioSelect if len(knob.choices) <= 3 else forms.Select
            return forms.ChoiceField(choices=knob.choices, widget=widget, **common)
        case "modules":
            return forms.CharField(max_length=300, **common)
    bounds = {"min": knob.low, "max": knob.high, "step": STEPS.get(knob.name, "1"), "inputmode": "decimal"}
    # The text itself: the domain reads it, and says the same of it as the API does.
    return forms.CharField(widget=forms.NumberInput(attrs=bounds), **common)


class CutForm(forms.Form):
    """The decision about rows that are too long, asked for at the start of a draft."""

    cut = forms.ChoiceField(choices=[("", ""), *recipes.KNOB["cut"].choices], required=False)


class RetryForm(forms.Form):
    """Where to go on (empty: the newest whole checkpoint; 0: the start), and why beyond the budget."""

    start_at = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    reason = forms.CharField(required=False, max_length=2000)


class ReasonForm(forms.Form):
    reason = forms.CharField(required=False, max_length=2000)


class PriorityForm(forms.Form):
    priority = forms.ChoiceField(choices=[(one.name.lower(), one.name.title()) for one in Priority])

    @property
    def chosen(self) -> Priority:
        return Priority[self.cleaned_data["priority"].upper()]
