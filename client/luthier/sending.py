"""Bringing files: announced, sent in parts, finished; begun again it goes on where it was."""

import hashlib
import os

from luthier.errors import FAILED, USAGE, Stop
from luthier.output import size
from luthier.watching import patiently

PIECE = 1024 * 1024


def digest(path, out):
    found, done, whole = hashlib.sha256(), 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while True:
            piece = file.read(PIECE)
            if not piece:
                return found.hexdigest()
            found.update(piece)
            done += len(piece)
            out.progress(f"{os.path.basename(path)}: reading, {done * 100 // max(whole, 1)} %")


def find_dataset(server, name, create=False, purpose="training"):
    """A dataset by name or number; made when that is wanted and there is none."""
    known = list(server.everything("datasets/"))
    for one in known:
        if one["name"] == name or str(one["id"]) == name:
            return one
    if create:
        return server.post("datasets/", {"name": name, "purpose": purpose})
    names = ", ".join(one["name"] for one in known[:10]) or "none"
    raise Stop(f"There is no dataset “{name}”. There are: {names}. Say --create to make it.", USAGE)


def send(server, path, dataset, options, out):
    """The upload that a file became; what has arrived of it earlier is not sent again."""
    try:
        whole, sha256 = os.path.getsize(path), digest(path, out)
    except OSError as problem:
        raise Stop(f"{path} cannot be read: {problem.strerror}.", USAGE) from None
    name = os.path.basename(path)
    incoming = _unfinished(server, sha256, dataset["id"], options) or server.post(
        "incoming/", {"dataset": dataset["id"], "file_name": name, "size": whole, "sha256": sha256, **options}
    )
    here = {part["number"] for part in incoming["parts"]}
    missing = [number for number in range(incoming["parts_expected"]) if number not in here]
    if here:
        out.note(f"{name}: going on, {len(here)} of {incoming['parts_expected']} parts are there.")
    with open(path, "rb") as file:
        for sent, number in enumerate(missing):
            out.progress(f"{name}: part {sent + len(here) + 1} of {incoming['parts_expected']}, {size(whole)}")
            file.seek(number * incoming["part_size"])
            piece = file.read(incoming["part_size"])
            told = {"X-Content-SHA256": hashlib.sha256(piece).hexdigest()}
            server.put(f"incoming/{incoming['id']}/parts/{number}/", piece, **told)
    return server.post(f"incoming/{incoming['id']}/finish/")


def _unfinished(server, sha256, dataset, options):
    """An earlier try of the same file, for the same dataset and read the same way."""
    for one in server.everything("incoming/"):
        same = one["sha256"] == sha256 and one["dataset"] == dataset
        if same and one["state"] == "open" and bool(one["options"].get("hold")) == bool(options.get("hold")):
            return one
    return None


def read(server, upload, out, timeout):
    """The upload as its reading ended."""

    def look():
        found = server.get(f"uploads/{upload['id']}/")
        if found["state"] in ("queued", "running"):
            out.progress(f"{found['file_name']}: {found['state']}, {found['rows_good']:,} rows")
            return None
        return found

    return patiently(look, timeout, "The file is still being read; it goes on without this command.")


def words(upload):
    """What became of a file."""
    start = f"{upload['file_name']} ({size(upload['size'])}), upload {upload['id']}: "
    bad = f", {upload['rows_bad']:,} bad rows" if upload["rows_bad"] else ""
    if upload["version"]:
        return f"{start}{upload['rows_good']:,} rows as version id {upload['version']}{bad}"
    if upload["in_the_making"]:
        return f"{start}{upload['rows_good']:,} rows wait for the bad ones to be mended{bad}"
    return f"{start}{upload['error_message'] or upload['state']}{bad}"


def outcome(upload):
    """0 when it became a version, or waits for one as was asked."""
    return 0 if upload["state"] in ("succeeded", "queued", "running") else FAILED
