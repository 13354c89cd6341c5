"""From a spec to a run that has started."""

import uuid

from luthier.errors import REFUSED, USAGE, Refusal, Stop
from luthier.watching import patiently

NOT_YET = ("tokens_not_counted", "not_compared")  # the server is still counting; it says so with 409
NAMES = {"base": "--base", "dataset_version": "--data"}


def read(server, text, options):
    """What the server understood; refusals end the command with all of them."""
    asked = {"text": text, "gpus": options.gpus, "without": options.without or []}
    for name in ("tool", "base", "data", "parent", "validation"):
        if getattr(options, name):
            asked[name] = getattr(options, name)
    return server.post("specs/", asked)


def explain(found, out):
    """What was translated, what has no effect, what is refused."""
    heads = {"refused": "Refused", "ignored": "Without effect here", "translated": "Translated"}
    for kind, head in heads.items():
        for note in (note for note in found["notes"] if note["kind"] == kind):
            said = f"{note['key']}: {note['value']}" if note["key"] else "not in the file"
            out.note(f"{head} ({said}): {note['text']}")
    for part in found["parts"]:
        out.note(f"{part['part'].replace('_', ' ')} “{part['wanted']}”: {part['text']}")
    if found["batch"]:
        out.note(f"Rows a step: {found['batch']['text']}")


def refuse(found):
    """End here while anything is refused or missing."""
    bad = [note["key"] for note in found["notes"] if note["kind"] == "refused"]
    if bad:
        way = " ".join(f"--without {key}" for key in found["removable"])
        hint = f" To leave these lines out: {way}" if way else ""
        raise Stop(f"{len(bad)} settings are refused: {', '.join(bad)}.{hint}", REFUSED)
    ids = {part["part"]: part["id"] for part in found["parts"]}
    for name in ("base", "dataset_version"):
        if not ids.get(name):
            raise Stop(f"Say which {name.replace('_', ' ')} with {NAMES[name]} NAME.", USAGE)
    if "parent" in ids and not ids["parent"]:
        raise Stop("The adapter to go on from is not here. Name another with --parent, or none.", USAGE)
    if "validation_version" in ids and not ids["validation_version"]:
        raise Stop(
            "The validation data is not here. Name another with --validation, or leave its line out with --without.",
            USAGE,
        )
    return ids


def make(server, found, ids, name):
    """A draft of the run."""
    body = {"name": name or found["name"] or "from a spec", "base": ids["base"], "recipe": found["recipe"]}
    body.update(dataset_version=ids["dataset_version"], parent=ids.get("parent"))
    body.update(validation_version=ids.get("validation_version"))
    return server.post("runs/", body, **{"Idempotency-Key": uuid.uuid4().hex})


def start(server, run, reasons, out, timeout):
    """Start a draft as soon as its data is counted."""

    def look():
        try:
            return server.post(f"runs/{run['id']}/start/", reasons)
        except Refusal as refused:
            if refused.reason == "already_started":  # an answer was lost on the way, and it was asked again
                return server.get(f"runs/{run['id']}/")
            if refused.reason not in NOT_YET:
                raise
            out.progress(refused.message)
            return None

    return patiently(look, timeout, f"The draft stays: run {run['id']}.")
