"""What people type into the pages of this app."""

from typing import Any

from django import forms

from datasets_app.models import DatasetVersion
from deployments.domain.states import Verdict
from deployments.domain.upgrades import MARGIN
from deployments.models import Slot
from evaluation import selectors as evaluations
from evaluation.models import Evaluation
from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.forms import add_refusal
from projects.models import Project
from training import selectors as training
from training.forms.decisions import DecisionReason
from training.models import Adapter, BaseModelVersion

VERDICTS = [
    (Verdict.APPROVE.value, "Approve"),
    (Verdict.REQUEST_CHANGES.value, "Request changes"),
    (Verdict.REJECT.value, "Reject"),
]


class SlotForm(forms.Form):
    name = forms.CharField(max_length=60, help_text="Such as “production” or “staging”.")
    description = forms.CharField(max_length=300, required=False, help_text="What is served from here, and to whom.")


class EvaluationChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        score = evaluations.primary_score(obj)
        found = f"{score.base * 100:.1f} → {score.adapter * 100:.1f} % {score.label.lower()}" if score else "no score"
        kept = "" if obj.retention_id else ", no retention set"
        return f"#{obj.pk} on {obj.golden}: {found}{kept}"


class RequestForm(forms.Form):
    """Choices of this project only, so that a number from elsewhere is no choice at all."""

    adapter = forms.ModelChoiceField(Adapter.objects.none(), empty_label="Choose an adapter")
    slot = forms.ModelChoiceField(Slot.objects.none(), empty_label="Choose a slot", help_text="Where it would be live.")
    evaluation = EvaluationChoice(
        Evaluation.objects.none(),
        required=False,
        empty_label="No evaluation",
        help_text="The proof. Finished evaluations of this adapter, the newest first.",
    )
    base_decision_reason = DecisionReason()
    message = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=5000,
        required=False,
        label="To the reviewers",
        help_text="What gets better for whom, and what you are not sure about.",
    )

    def __init__(self, *args: Any, project: Project, adapter: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["adapter"].queryset = evaluations.adapters(project)  # type: ignore[attr-defined]
        self.fields["slot"].queryset = project.slots.all()  # type: ignore[attr-defined]
        self.fields["evaluation"].queryset = evaluations_of(project, adapter)  # type: ignore[attr-defined]


def evaluations_of(project: Project, adapter: Any = None) -> Any:
    done = evaluations.evaluations(project).filter(state=JobState.SUCCEEDED)
    return done.filter(adapter=adapter) if adapter else done


class BesideOthers(forms.Form):
    """A form that shares its page with others: the ids of its fields carry its name, so that labels find their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": f"{type(self).__name__.lower()}_%s"} | kwargs)


class CommentForm(BesideOthers):
    body = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), max_length=5000, label="Comment", strip=True)


class DecisionForm(BesideOthers):
    """A verdict on the evidence whose digest the page carried."""

    verdict = forms.ChoiceField(choices=VERDICTS)
    body = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=5000,
        label="Why",
        help_text="At least 10 characters. The author and later reviewers read this.",
    )
    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def clean_verdict(self) -> Verdict:
        return Verdict(self.cleaned_data["verdict"])


class ResubmitForm(BesideOthers):
    evaluation = EvaluationChoice(Evaluation.objects.none(), required=False, empty_label="The same as before")
    message = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=5000,
        required=False,
        label="What has changed",
    )

    def __init__(self, *args: Any, request: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["evaluation"].queryset = evaluations_of(request.project, request.adapter)  # type: ignore[attr-defined]


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=2000, required=False)


class RollbackForm(ReasonForm):
    to = forms.IntegerField(required=False, min_value=1)


class SuccessorForm(forms.Form):
    """One base of this project follows another."""

    old = forms.ModelChoiceField(BaseModelVersion.objects.none(), label="Old version", empty_label="Choose a base")
    new = forms.ModelChoiceField(BaseModelVersion.objects.none(), label="Its successor", empty_label="Choose a base")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("old", "new"):
            self.fields[name].queryset = training.ready_bases(project)  # type: ignore[attr-defined]


class OrderForm(forms.Form):
    """Steps for the adapters of an old base; of adapters none ticked means all."""

    steps = forms.CharField(max_length=40)
    adapters = forms.ModelMultipleChoiceField(Adapter.objects.none(), required=False)
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=2000,
        required=False,
        label="Why the adapters may be used on the new version",
        help_text="Needed to re-evaluate. Written down as a decision for each of them, and shown with every result.",
    )
    golden = forms.ModelChoiceField(
        DatasetVersion.objects.none(),
        required=False,
        label="Golden set for those that nobody has judged",
        empty_label="None: leave them out",
        help_text="All others are asked what they were judged by.",
    )
    margin = forms.FloatField(
        label="Not worse means at most",
        initial=round(MARGIN * 100, 1),
        min_value=1,
        max_value=20,
        help_text="As far may the 95 % interval of the difference go below zero.",
    )
    at_once = forms.IntegerField(label="Adapters at once", initial=4, min_value=1, max_value=16)
    only_lost = forms.BooleanField(label="Retrain only what does not survive as it is", required=False, initial=True)
    budget_reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=2000,
        required=False,
        label="Why start it beyond the budget",
        help_text="Owners read it, and the order waits for their yes.",
    )

    def __init__(self, *args: Any, old: BaseModelVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["adapters"].queryset = training.adapters(old.project).filter(base=old)  # type: ignore[attr-defined]
        golden = evaluations.versions(old.project, "golden")
        self.fields["golden"].queryset = golden  # type: ignore[attr-defined]
        self.fields["golden"].initial = golden.first()

    def clean_steps(self) -> list[str]:
        """A button says one or, with commas between them, several."""
        return [step for step in self.cleaned_data["steps"].split(",") if step]

    def clean_margin(self) -> float:
        return round(float(self.cleaned_data["margin"]) / 100, 4)

    @property
    def order(self) -> dict[str, Any]:
        """As the service takes it."""
        data = dict(self.cleaned_data)
        return data | {"adapters": list(data["adapters"]) or None}

    @property
    def ticked(self) -> set[str]:
        """Numbers of adapters that stay ticked when the form comes back."""
        return set(map(str, self.data.getlist("adapters"))) if self.is_bound else set()  # type: ignore[attr-defined]

    def refuse(self, refused: Refused) -> None:
        if refused.field in {"new", "adapters", "steps"}:
            self.add_error(None, refused.message)
        else:
            add_refusal(self, refused)
