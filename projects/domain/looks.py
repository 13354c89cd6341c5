"""Every state's word, icon and tone: one table, so that a state looks the same on every page."""

from typing import NamedTuple


class Look(NamedTuple):
    """What a state shows: never colour alone."""

    word: str
    icon: str
    tone: str


TONE_ICONS = {
    "waiting": "clock",
    "running": "player-play",
    "succeeded": "circle-check",
    "attention": "alert-triangle",
    "failed": "circle-x",
    "void": "circle-off",
}

# Words that other frameworks, Django's message levels and people use for the same six tones.
TONE_ALIASES = {
    "neutral": "waiting", "grey": "waiting", "gray": "waiting", "secondary": "waiting", "debug": "waiting",
    "info": "running", "blue": "running", "primary": "running", "busy": "running",
    "success": "succeeded", "green": "succeeded", "good": "succeeded", "pass": "succeeded",
    "warning": "attention", "amber": "attention", "yellow": "attention", "orange": "attention",
    "error": "failed", "danger": "failed", "red": "failed", "bad": "failed", "fail": "failed",
    "purple": "void", "stale": "void",
}  # fmt: skip

LOOKS = {
    "active": Look("Active", "circle-check", "succeeded"),
    "sending": Look("On its way", "send", "running"),
    "delivered": Look("Delivered", "circle-check", "succeeded"),
    "given_up": Look("Given up", "circle-x", "failed"),
    "disabled": Look("Switched off", "plug-connected-x", "failed"),
    "draft": Look("Draft", "pencil", "waiting"),
    "queued": Look("Waiting", "clock", "waiting"),
    "waiting": Look("Waiting", "clock", "waiting"),
    "running": Look("Running", "player-play", "running"),
    "held": Look("Waits for a yes", "hand-stop", "attention"),
    "paused": Look("Paused", "player-pause", "waiting"),
    "pausing": Look("Pausing", "player-pause", "attention"),
    "cancelling": Look("Cancelling", "player-stop", "attention"),
    "succeeded": Look("Succeeded", "circle-check", "succeeded"),
    "ready": Look("Ready", "circle-check", "succeeded"),
    "failed": Look("Failed", "circle-x", "failed"),
    "lost": Look("Lost", "plug-connected-x", "failed"),
    "quarantined": Look("Quarantined", "biohazard", "failed"),
    "cancelled": Look("Cancelled", "ban", "waiting"),
    "attention": Look("Needs attention", "alert-triangle", "attention"),
    "stale": Look("Stale", "circle-off", "void"),
    "void": Look("Void", "circle-off", "void"),
    "submitted": Look("In review", "eye", "running"),
    "changes_requested": Look("Changes requested", "message-circle", "attention"),
    "approved": Look("Approved", "circle-check", "succeeded"),
    "rejected": Look("Rejected", "circle-x", "failed"),
    "asked": Look("Waits for a yes", "hand-stop", "attention"),
    "declined": Look("Declined", "circle-x", "failed"),
    "interrupted": Look("Interrupted", "plug-connected-x", "attention"),
    "withdrawn": Look("Withdrawn", "arrow-back-up", "void"),
    "deployed": Look("Deployed", "rocket", "succeeded"),
    "live": Look("Live", "broadcast", "succeeded"),
    "rolled_back": Look("Rolled back", "history", "void"),
    "expired": Look("Expired", "hourglass-off", "void"),
    "revoked": Look("Revoked", "ban", "void"),
    "error": Look("Error", "circle-x", "failed"),
    "warning": Look("Warning", "alert-triangle", "attention"),
    "info": Look("Note", "info-circle", "running"),
    "passed": Look("Passed", "circle-check", "succeeded"),
    "missing": Look("Missing", "help-circle", "attention"),
}


def tone_of(name: str) -> str:
    """The tone meant by a name; what is unknown is grey."""
    return name if name in TONE_ICONS else TONE_ALIASES.get(name, "waiting")


def look_of(state: str) -> Look:
    """The look of a state; an unknown one shows its own name in grey."""
    known = LOOKS.get(str(state))
    return known or Look(str(state).replace("_", " ").capitalize(), "point", "waiting")
