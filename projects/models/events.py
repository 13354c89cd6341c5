"""Events, and what becomes of them: deliveries to webhooks and letters to people.

An event is written in the transaction of what it tells of, together with one row for everybody who is to be told. What
sends them comes later, claims each row under a lease and a fence, and may die at any moment.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from projects.domain import addresses
from projects.domain.retries import ENDPOINT, SENDING
from projects.domain.sendstates import EndpointState, SendState
from projects.models.people import Membership
from projects.models.project import Project

SEND_STATES = [(state.value, state.value.replace("_", " ").capitalize()) for state in SendState]
ENDPOINT_STATES = [(state.value, state.value.capitalize()) for state in EndpointState]
EVERY = "*"


class Event(models.Model):
    """Something that happened, as it is told. It never changes."""

    uid = models.CharField(max_length=40, unique=True)
    # Without a constraint of the database: its check would lock the project's row, which whoever queues work locks
    # first and this write last.
    project = models.ForeignKey(Project, models.CASCADE, related_name="events", db_constraint=False)
    name = models.CharField(max_length=60)
    subject = models.CharField(max_length=120, help_text="Such as training.run:7.")
    data = models.JSONField()
    audit_id = models.BigIntegerField(null=True, help_text="The line of the audit log that says the same.")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "-id"]), models.Index(fields=["at"])]
        constraints = [models.UniqueConstraint(fields=["audit_id", "name"], name="one_event_per_line_of_audit")]

    def __str__(self) -> str:
        return f"{self.name} {self.subject}"

    @property
    def text(self) -> str:
        return self.data.get("text", self.name)

    @property
    def url(self) -> str:
        return self.data.get("subject", {}).get("url", "")


class WebhookEndpoint(models.Model):
    """An address of somebody else's that is told of events. Its secret is derived from the salt and stored nowhere."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    events = models.JSONField(default=list, help_text="Names, or “*” for all there are and will be.")
    state = models.CharField(max_length=10, choices=ENDPOINT_STATES, default=EndpointState.ACTIVE.value)
    state_reason = models.CharField(max_length=300, blank=True)
    salt = models.CharField(max_length=64)
    key_id = models.CharField(max_length=8)
    old_salt = models.CharField(max_length=64, blank=True)
    old_key_id = models.CharField(max_length=8, blank=True)
    old_until = models.DateTimeField(null=True, help_text="Until when the secret before the present one signs, too.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row, until now.")
    failing_since = models.DateTimeField(null=True)
    resting_until = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    machine = ENDPOINT

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="an_old_secret_has_an_end",
                condition=Q(old_salt="", old_until=None) | (~Q(old_salt="") & Q(old_until__isnull=False)),
            ),
            models.CheckConstraint(
                name="a_disabled_endpoint_says_why",
                condition=~Q(state=EndpointState.DISABLED.value) | ~Q(state_reason=""),
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.shown_url

    def get_absolute_url(self) -> str:
        return reverse("webhook-detail", args=[self.project.slug, self.pk])

    @property
    def shown_url(self) -> str:
        """For those who do not manage it, and for what is written down."""
        return addresses.shown(self.url)

    @property
    def wants_all(self) -> bool:
        return EVERY in self.events

    def wants(self, name: str) -> bool:
        return self.wants_all or name in self.events


class Consignment(models.Model):
    """Something on its way: claimed under a lease, sent at least once, tried again, and some day given up."""

    state = models.CharField(max_length=10, choices=SEND_STATES, default=SendState.WAITING.value)
    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField(help_text="Not before this.")
    attempts = models.PositiveIntegerField(default=0, help_text="Since it was asked for.")
    code = models.CharField(max_length=60, blank=True, help_text="What the last attempt failed with.")
    message = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    over_at = models.DateTimeField(null=True)

    machine = SENDING

    class Meta:
        abstract = True


_LEASED = Q(state=SendState.SENDING.value, lease_until__isnull=False)
_UNLEASED = ~Q(state=SendState.SENDING.value) & Q(lease_until=None)


class Delivery(Consignment):
    """One event for one endpoint; sent again by a person, there is another."""

    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    asked = models.PositiveIntegerField(default=1, help_text="1: the event itself; from 2 on a person.")

    class Meta:
        indexes = [
            models.Index(fields=["state", "next_at"], name="delivery_due"),
            models.Index(fields=["endpoint", "-id"], name="delivery_of_endpoint"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["event", "endpoint", "asked"], name="one_delivery_per_asking"),
            models.UniqueConstraint(
                name="one_delivery_at_a_time",
                fields=["endpoint"],
                condition=Q(state=SendState.SENDING.value),
            ),
            models.CheckConstraint(name="a_delivery_is_sent_under_a_lease", condition=_LEASED | _UNLEASED),
        ]

    def __str__(self) -> str:
        return f"{self.event.name} to {self.endpoint}"

    def get_absolute_url(self) -> str:
        return reverse("webhook-delivery", args=[self.endpoint.project.slug, self.endpoint_id, self.pk])

    @property
    def project(self) -> Project:
        return self.endpoint.project


class DeliveryAttempt(models.Model):
    """One try. Its row is there before anything is sent, so that one that was cut off is not forgotten."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="tries")
    fence = models.BigIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ok = models.BooleanField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    code = models.CharField(max_length=60, blank=True)
    message = models.CharField(max_length=300, blank=True)
    response = models.TextField(blank=True, help_text="The first kilobyte of the answer.")
    milliseconds = models.PositiveIntegerField(null=True)
    address = models.CharField(max_length=60, blank=True, help_text="Where the connection went.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "fence"], name="one_try_per_fence")]

    def __str__(self) -> str:
        return f"try {self.fence} of delivery {self.delivery_id}"


class Letter(Consignment):
    """One e-mail to one person about one project: everything that came together within minutes."""

    uid = models.CharField(max_length=40, unique=True)
    project = models.ForeignKey(Project, models.CASCADE, related_name="letters")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="letters")

    class Meta:
        indexes = [
            models.Index(fields=["state", "next_at"], name="letter_due"),
            models.Index(fields=["user", "project", "-id"], name="letter_of_person"),
        ]
        constraints = [models.CheckConstraint(name="a_letter_is_sent_under_a_lease", condition=_LEASED | _UNLEASED)]

    def __str__(self) -> str:
        return f"letter {self.pk} about {self.project}"


class Notice(models.Model):
    """One event for one person; it waits until it joins a letter."""

    event = models.ForeignKey(Event, models.CASCADE, related_name="notices")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices")
    letter = models.ForeignKey(Letter, models.CASCADE, null=True, related_name="notices")
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["created_at"], condition=Q(letter=None), name="notice_waiting")]
        constraints = [models.UniqueConstraint(fields=["event", "user"], name="one_notice_per_event_and_person")]

    def __str__(self) -> str:
        return f"{self.event.name} for {self.user}"


class MailChoice(models.Model):
    """What a member wants to hear of by e-mail; what is not named here is as usual for their role."""

    membership = models.OneToOneField(Membership, models.CASCADE, related_name="mail")
    choices = models.JSONField(default=dict, help_text="Name of an event to off, mine or all.")
    muted_at = models.DateTimeField(null=True, help_text="Since when they want no mail of this project at all.")

    def __str__(self) -> str:
        return f"e-mail of {self.membership}"
