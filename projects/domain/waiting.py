"""Why a job waits, in words: what stands before it, and what would have to happen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from projects.domain import formatting

NAMED = 3


@dataclass(frozen=True)
class Needs:
    """What a job needs that takes several places of one host: `most` is what the largest open host has of them, `free`
    what is free on the one that has most free, `kept_by` the host that gives nothing away until it has enough."""

    cards: int
    most: int
    free: int
    kept_by: str = ""


@dataclass(frozen=True)
class Why:
    """`ahead` jobs go first; in `free_in` seconds the first slot is expected to be free. None is not known."""

    code: str
    text: str
    ahead: int | None = None
    free_in: float | None = None
    brief: str = ""

    @property
    def in_brief(self) -> str:
        """The same for a line of a list."""
        return " ".join(part for part in (self.place, self.brief or self.text) if part)

    @property
    def whole(self) -> str:
        """Place in the line and reason, as two sentences."""
        return " ".join(part for part in (self.place, self.text) if part)

    @property
    def place(self) -> str:
        if self.ahead is None:
            return ""
        return f"{formatting.number(self.ahead)} ahead of it." if self.ahead else "Next in line."


@dataclass(frozen=True)
class Scene:
    """What stands around a queue: who hears it, who may take something, who holds a slot.

    `heard` hosts have been heard of lately, `open` are those of them that are not drained. `silent_for` are the seconds
    since the last one was heard, None if there never was one. `taken_by` are the holders whose names may be told.
    """

    queue: str
    heard: int = 0
    open: int = 0
    silent_for: float | None = None
    slots: int = 0
    free: int = 0
    on_cards: bool = False
    taken_by: Sequence[str] = field(default_factory=list)
    others: int = 0
    free_in: float | None = None


def held() -> Why:
    return Why("held", "Waits for an owner's yes.")


def paused(by: str) -> Why:
    return Why("paused", f"Paused by {by}; it goes on when somebody resumes it." if by else "Paused.")


def queued(scene: Scene, ahead: int, needs: Needs | None = None) -> Why:
    """What a job that is queued waits for, the hardest first."""
    if not scene.heard:
        return Why(*_nobody(scene), ahead=ahead)
    if not scene.open:
        return Why("draining", _drained(scene), ahead=ahead)
    if needs is not None and (why := _several(scene, ahead, needs)) is not None:
        return why
    if not scene.free:
        return Why("slots_taken", _taken(scene), ahead, scene.free_in, brief=_taken(scene, brief=True))
    if ahead >= scene.free:
        slots = "1 slot is free" if scene.free == 1 else f"{scene.free} slots are free"
        return Why("behind_others", f"{slots}, and those before it take {'it' if scene.free == 1 else 'them'}.", ahead)
    return Why("starting", "A worker takes it within seconds.", ahead)


def _several(scene: Scene, ahead: int, needs: Needs) -> Why | None:
    """What stands against so many places at the same time; None when a host has them."""
    what = "cards" if scene.on_cards else f"slots of the {scene.queue} queue"
    wanted = f"Needs {needs.cards} {what} on one host"
    if needs.most < needs.cards:
        text = f"{wanted}, and no host has more than {needs.most}. Start a worker on a larger host, or run on fewer."
        return Why("no_such_host", text, ahead, brief=f"{wanted}; none has more than {needs.most}.")
    if needs.free >= needs.cards:
        return None
    kept = f" {needs.kept_by} keeps what becomes free for it." if needs.kept_by else ""
    return Why("needs_cards", f"{wanted}, {needs.free} free.{kept}", ahead, scene.free_in)


def _nobody(scene: Scene) -> tuple[str, str]:
    if scene.silent_for is None:
        return "no_worker", f"No worker for the {scene.queue} queue has announced itself yet. Start one."
    gone = formatting.duration(scene.silent_for)
    return "worker_silent", f"No worker for the {scene.queue} queue has been heard of for {gone}."


def _drained(scene: Scene) -> str:
    one = scene.heard == 1
    what = "with a GPU" if scene.on_cards else f"that take{'s' if one else ''} work of the {scene.queue} queue"
    return f"The only host {what} is being drained." if one else f"All {scene.heard} hosts {what} are being drained."


def _taken(scene: Scene, brief: bool = False) -> str:
    slot = "GPU slot" if scene.on_cards else f"slot of the {scene.queue} queue"
    plural = slot.replace("slot", "slots", 1)
    which = f"The only {slot} is" if scene.slots == 1 else f"All {scene.slots} {plural} are"
    holders = "" if brief else _holders(scene)
    text = f"{which} taken{f' by {holders}' if holders else ''}"
    if scene.free_in is None:
        return f"{text}."
    when = "any moment now" if scene.free_in < 5 else f"in about {formatting.duration(_rough(scene.free_in))}"
    return f"{text}; {'it' if scene.slots == 1 else 'the first'} is expected to be free {when}."


def _holders(scene: Scene) -> str:
    named = [f"“{name}”" for name in scene.taken_by[:NAMED]]
    rest = len(scene.taken_by) - len(named)
    words = [*named, *([f"{rest} more of this project"] if rest else [])]
    if scene.others:
        words.append(f"{scene.others} job{'s' if scene.others > 1 else ''} of other projects")
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _rough(seconds: float) -> int:
    """An expectation is no measurement: whole minutes beyond two."""
    return round(seconds / 60) * 60 if seconds > 120 else round(seconds)
