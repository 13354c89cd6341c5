"""Forms of people, projects, tokens and filters."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm

from projects.domain import money, policies
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import Project
from projects.models.ledger import CAUSES, LOSSES
from projects.models.people import SCOPES

# The narrowest role first: a slip of the hand gives too little, never too much.
ROLE_CHOICES = [(role.value, role.value.title()) for role in reversed(Role)]
CURRENCY_CHOICES = [(code, code) for code in money.CURRENCIES]


def add_refusal(form: forms.Form, refused: Refused) -> None:
    """Show a refusal of a service where it belongs: at its field, or above the form."""
    form.add_error(refused.field if refused.field in form.fields else None, refused.message)


class WithdrawForm(forms.Form):
    """Which node of the lineage, for what cause, and why; what is wrong with it the service says."""

    node = forms.CharField(max_length=60)
    cause = forms.CharField(max_length=20)
    reason = forms.CharField(max_length=4000)

    @property
    def given(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name, "") for name in self.fields}


class SignInForm(AuthenticationForm):
    username = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    error_messages = {
        "invalid_login": "This e-mail address and this password do not belong together.",
        "inactive": "This e-mail address and this password do not belong together.",
    }


class NewPersonForm(forms.Form):
    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username"}))
    name = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        strip=False,
        max_length=200,
        help_text="At least 10 characters; a few unrelated words are good.",
    )


class InvitedPersonForm(NewPersonForm):
    """The address comes from the invitation when that was made for one."""

    def __init__(self, *args: Any, email: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if email:
            self.fields["email"].disabled = True
            self.initial["email"] = email


class NewPasswordForm(PasswordChangeForm):
    """Django's own, with its list of rules in one sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = "At least 10 characters; a few unrelated words are good."
        self.fields["new_password2"].help_text = ""
        self.fields["new_password2"].label = "New password again"


class ProjectForm(forms.Form):
    name = forms.CharField(max_length=200, help_text="Its address is made from it and stays when the name changes.")
    description = forms.CharField(required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    currency = forms.ChoiceField(
        choices=CURRENCY_CHOICES, initial="EUR", help_text="Fixed as soon as the ledger has a line."
    )


def _price(label: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        min_value=Decimal(0),
        max_digits=10,
        decimal_places=4,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )


def _short(price: Decimal) -> str:
    """3.5000, as it is stored, reads better as 3.50; fractions of a cent stay."""
    cents = price.quantize(Decimal("0.01"))
    return f"{cents if cents == price else price.normalize():f}"


class GigabytesField(forms.DecimalField):
    """Typed in gigabytes, kept in bytes."""

    GIGABYTE = 1_000_000_000

    def prepare_value(self, value: Any) -> Any:
        return f"{Decimal(value) / self.GIGABYTE:f}" if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * self.GIGABYTE)


class PercentField(forms.DecimalField):
    """People type 30, the project keeps 0.300."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return f"{(value * 100).normalize():f}"
        return value

    def clean(self, value: Any) -> Any:
        share = super().clean(value)
        return None if share is None else share / 100


class SettingsForm(ProjectForm):
    gpu_hour_price = _price("An hour of a GPU")
    cpu_hour_price = _price("An hour of a CPU host")
    people_hour_price = _price("An hour of a person")
    monthly_budget = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_digits=12,
        decimal_places=2,
        label="Budget of a month",
        help_text="Leave empty for none. Runs whose P90 would go beyond it wait for an owner's yes. Months are in UTC.",
    )
    stop_at_budget = forms.BooleanField(
        required=False,
        label="Stop runs at the limit",
        help_text="A run that costs more than was held for it is paused when nothing is left of the month, and can go "
        "on later. Otherwise owners are only told.",
    )
    storage_quota_bytes = GigabytesField(
        required=False,
        min_value=Decimal(0),
        max_digits=12,
        decimal_places=3,
        label="Storage",
        help_text="Leave empty for no limit. Files that would go beyond it are refused before they are sent.",
    )
    review_data_changes = forms.BooleanField(
        required=False,
        label="Changes of data need a second person",
        help_text="Uploads, recipes and reviews of existing datasets are proposed, and count when somebody else has "
        "merged them.",
    )
    max_synthetic_share = PercentField(
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(100),
        max_digits=4,
        decimal_places=1,
        label="Rows written by models, at most",
        help_text="Leave empty for no limit. No run starts on a version with more.",
    )
    max_synthetic_depth = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=99,
        label="Generation depth, at most",
        help_text="0: only people's rows. 1: a model's too. 2: also of models that learned from models' rows.",
    )

    @classmethod
    def of(cls, project: Project, data: Any = None) -> "SettingsForm":
        form = cls(data)
        values = {name: getattr(project, name) for name in form.fields}
        plain = ("max_synthetic_share",)  # its field knows how it is written
        form.initial = {
            name: _short(value) if isinstance(value, Decimal) and name not in plain else value
            for name, value in values.items()
        }
        return form


class InvitationForm(forms.Form):
    role = forms.ChoiceField(choices=ROLE_CHOICES)
    email = forms.EmailField(
        required=False, label="Only for this address", help_text="Leave empty for a link that anyone may use once."
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=ROLE_CHOICES)
    reason = forms.CharField(required=False, max_length=2000)


class ReasonForm(forms.Form):
    reason = forms.CharField(required=False, max_length=2000)


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="Where it is used, such as “nightly upload”.")
    scope = forms.ChoiceField(choices=SCOPES)
    days = forms.IntegerField(
        label="Days until it expires", min_value=1, max_value=policies.MAX_TOKEN_DAYS, initial=policies.TOKEN_DAYS
    )


class AuditFilter(forms.Form):
    actor = forms.CharField(required=False, max_length=254, label="Who")
    action = forms.ChoiceField(required=False, label="What")
    target = forms.CharField(required=False, max_length=200, label="On what")

    def __init__(self, *args: Any, actions: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["action"]
        field.choices = [("", "Every action"), *[(action, action) for action in actions]]


class LedgerFilter(forms.Form):
    month = forms.ChoiceField(required=False)
    cause = forms.ChoiceField(required=False, choices=[("", "Every cause"), *CAUSES])
    outcome = forms.ChoiceField(required=False)
    loss = forms.ChoiceField(required=False, label="Cause of loss", choices=[("", "Every line"), *LOSSES])
    subject = forms.CharField(
        required=False,
        max_length=200,
        label="For",
        widget=forms.TextInput(attrs={"placeholder": "A name, or training.run:7"}),
    )

    def __init__(self, *args: Any, months: list[datetime], outcomes: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months]
        words = [(outcome, outcome.replace("_", " ").title()) for outcome in outcomes]
        month_field: Any = self.fields["month"]
        outcome_field: Any = self.fields["outcome"]
        month_field.choices = [("", "Every month"), *named]
        outcome_field.choices = [("", "Every outcome"), *words]


def query(values: dict[str, Any]) -> str:
    """The part of an address after the question mark, with the mark; empty for nothing."""
    return f"?{urlencode(values)}" if values else ""


class CorrectionForm(forms.Form):
    amount = forms.DecimalField(
        label="It should have said",
        min_value=Decimal(0),
        max_digits=14,
        decimal_places=6,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text="The right amount of this line. The difference is booked.",
    )
    reason = forms.CharField(
        label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), help_text="It stays with the line."
    )


class WebhookForm(forms.Form):
    """`kinds` are names and meanings of events; “*” is all there are and will be."""

    url = forms.CharField(
        label="Address",
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/luthier"}),
        help_text="Public, and https:// if possible. Redirects are not followed.",
    )
    description = forms.CharField(label="Name", required=False, max_length=200, help_text="What listens there.")
    events = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, kinds: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["events"]
        field.choices = [("*", "Everything, also what is added later"), *kinds]


class RotateForm(forms.Form):
    overlap_hours = forms.TypedChoiceField(
        label="The old secret signs as well for",
        coerce=int,
        choices=[(24, "a day"), (168, "a week"), (1, "an hour"), (0, "not at all: it is out")],
    )
