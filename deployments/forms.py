"""What people type into the pages of this app."""

from typing import Any

from django import forms

from deployments.domain.states import Verdict
from deployments.models import Slot
from evaluation import selectors as evaluations
from evaluation.models import Evaluation
from projects.domain.states import JobState
from projects.models import Project
from training.models import Adapter

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
