"""Forms of evaluations."""

from typing import Any

from django import forms

from datasets_app.models import DatasetVersion
from evaluation import selectors
from evaluation.domain import equivalence, statistics
from evaluation.domain.graders import GRADERS
from evaluation.domain.ranking import Change
from projects.domain import formatting
from projects.domain.errors import Invalid
from projects.models import Project
from training import selectors as training
from training.forms.decisions import DecisionReason
from training.models import Adapter, BaseModelVersion

OUTCOMES = ("", Change.REGRESSION.value, Change.GAIN.value, "unchanged", Change.BOTH_WRONG.value)


class AdapterField(forms.ModelChoiceField):
    def label_from_instance(self, adapter: Adapter) -> str:  # type: ignore[override]
        return f"{adapter.name} (on {adapter.base.name})"


class BaseField(forms.ModelChoiceField):
    def label_from_instance(self, base: BaseModelVersion) -> str:  # type: ignore[override]
        return f"{base.name} ({formatting.short_hash(base.fingerprint)})"


class GoldenField(forms.ModelChoiceField):
    """Versions with what they can show, so that a set that is too small is seen before it is used."""

    def label_from_instance(self, version: DatasetVersion) -> str:  # type: ignore[override]
        seen = statistics.minimum_detectable(version.rows) * 100
        return f"{version}: {formatting.number(version.rows)} rows, shows differences from {seen:.1f} points"


class RetentionField(forms.ModelChoiceField):
    """Versions with their length alone."""

    def label_from_instance(self, version: DatasetVersion) -> str:  # type: ignore[override]
        return f"{version}: {formatting.number(version.rows)} rows"


class EvaluationForm(forms.Form):
    """The newest adapter on the newest versions, unless somebody chooses otherwise."""

    adapter = AdapterField(queryset=Adapter.objects.none(), empty_label=None)
    base = BaseField(
        queryset=BaseModelVersion.objects.none(),
        required=False,
        empty_label="The one it was trained on",
        label="Base",
        help_text="On another version somebody answers for the pair: here, or before under Compatibility.",
    )
    base_decision_reason = DecisionReason()
    golden = GoldenField(
        queryset=DatasetVersion.objects.none(),
        empty_label=None,
        label="Golden set",
        help_text="Questions with expected answers that no adapter was trained on. Base and adapter answer them all.",
    )
    retention = RetentionField(
        queryset=DatasetVersion.objects.none(),
        required=False,
        empty_label="None: leave forgetting unmeasured",
        label="Retention set",
        help_text="General text. If its loss rises by more than 5 %, the adapter has forgotten something.",
    )
    graders = forms.MultipleChoiceField(
        choices=[(grader.name, grader.label) for grader in GRADERS.values()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Leave all open to take those that fit the expected answers.",
    )
    max_new_tokens = forms.IntegerField(
        min_value=1,
        max_value=4096,
        required=False,
        label="Longest answer, in tokens",
        help_text="Left open: a quarter more than the longest expected answer.",
    )
    limit = forms.IntegerField(
        min_value=10,
        max_value=selectors.MOST_QUESTIONS,
        required=False,
        label="Golden rows at most",
        help_text="A random sample of this size; left open, all rows.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = {
            "adapter": selectors.adapters(project),
            "golden": selectors.versions(project, "golden"),
            "retention": selectors.versions(project, "retention"),
        }
        for name, queryset in choices.items():
            field = self.fields[name]
            field.queryset = queryset  # type: ignore[attr-defined]
            self.initial.setdefault(name, queryset.first())
        self.fields["base"].queryset = training.ready_bases(project)  # type: ignore[attr-defined]

    @property
    def plain(self) -> list[Any]:
        return [self[name] for name in ("adapter", "golden", "retention")]

    @property
    def asks_for_decision(self) -> bool:
        """Once it was refused for want of a decision, or somebody has begun to write one."""
        field = self["base_decision_reason"]
        return bool(field.errors or field.value())

    @property
    def detailed(self) -> list[Any]:
        return [self[name] for name in ("base", "graders", "max_new_tokens", "limit")]


class ItemFilter(forms.Form):
    """Which golden rows of an evaluation are shown. Nonsense in the address shows them all."""

    outcome = forms.ChoiceField(choices=[(name, name) for name in OUTCOMES], required=False)
    q = forms.CharField(max_length=200, required=False, label="Search")

    @property
    def chosen(self) -> dict[str, str]:
        self.is_valid()
        return {"outcome": self.cleaned_data.get("outcome", ""), "query": self.cleaned_data.get("q", "")}


class ProbeForm(forms.Form):
    """Which prompts an adapter is asked on both versions of its base."""

    golden = RetentionField(
        queryset=DatasetVersion.objects.none(),
        empty_label=None,
        label="Golden set",
        help_text="Its questions are asked on both versions, and its answers are looked at word by word.",
    )
    limit = forms.IntegerField(
        min_value=8, max_value=1_000, initial=64, label="Prompts", help_text="A random sample; more of them tell finer."
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["golden"]
        field.queryset = selectors.versions(project, "golden")  # type: ignore[attr-defined]
        self.initial.setdefault("golden", field.queryset.first())  # type: ignore[attr-defined]


class DecisionForm(forms.Form):
    """Somebody answers for an adapter on a base that is not the one it was trained on."""

    allowed = forms.TypedChoiceField(
        choices=[("yes", "May be used on this version"), ("no", "May not be used on it any more")],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
        initial="yes",
        label="Decision",
    )
    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Whoever sees a result of this pair reads it.",
    )


class DerivedForm(forms.Form):
    """On which golden set models of an adapter are held against it, and how far apart still counts as equal."""

    golden = GoldenField(
        queryset=DatasetVersion.objects.none(),
        empty_label=None,
        label="Golden set",
        help_text="The adapter on its base and the model answer it row by row.",
    )
    margin = forms.FloatField(
        min_value=equivalence.LEAST * 100,
        max_value=equivalence.MOST * 100,
        initial=equivalence.MARGIN * 100,
        label="Margin, in points",
        help_text="Equal is what the whole 95 % interval of the difference keeps within it.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["golden"]
        field.queryset = selectors.versions(project, "golden")  # type: ignore[attr-defined]
        self.initial.setdefault("golden", field.queryset.first())  # type: ignore[attr-defined]

    def asked(self) -> dict[str, Any]:
        """What the service takes; refused with the first thing that is wrong."""
        if not self.is_valid():
            name, errors = next(iter(self.errors.items()))
            raise Invalid(f"{self[name].label}: {errors[0]}", code="invalid", field=name)
        return {"golden": self.cleaned_data["golden"], "margin": self.cleaned_data["margin"] / 100}
