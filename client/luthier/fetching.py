"""Adapters out: fetched beside their place, each file held against its sha256, then moved there."""

import hashlib
import os
import shutil
import tempfile
import zipfile

from luthier.errors import FAILED, USAGE, Stop
from luthier.output import size

PIECE = 1024 * 1024


def download(server, adapter, target, unpack, out):
    """A zip or, unpacked, a folder, whole or not at all."""
    said = server.get(f"adapters/{adapter}/")
    name = "".join(char if char.isalnum() or char in "._-" else "-" for char in said["name"]) or f"adapter-{adapter}"
    target = target or (name if unpack else f"{name}.zip")
    if os.path.exists(target):
        raise Stop(f"{target} is there already. Say another place with -o.", USAGE)
    folder = os.path.dirname(os.path.abspath(target))
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".luthier-") as aside:
        file = os.path.join(aside, "adapter.zip")
        _fetch(server, adapter, file, out)
        inside = os.path.join(aside, "files")
        _check(file, said["manifest"]["files"], inside)
        shutil.move(inside if unpack else file, target)
    return target, said


def _fetch(server, adapter, file, out):
    done = 0
    with server.open("GET", server.path(f"adapters/{adapter}/download/")) as answer, open(file, "wb") as writing:
        while True:
            piece = answer.read(PIECE)
            if not piece:
                return
            writing.write(piece)
            done += len(piece)
            out.progress(f"adapter {adapter}: {size(done)}")


def _check(file, files, inside):
    """Every file of the manifest, once, with its hash; unpacked to `inside`, and nothing beside it."""
    os.makedirs(inside)
    try:
        with zipfile.ZipFile(file) as archive:
            found = {os.path.basename(entry.filename): entry for entry in archive.infolist() if not entry.is_dir()}
            for name, said in files.items():
                digest = hashlib.sha256()
                with (
                    archive.open(found[name]) as reading,
                    open(os.path.join(inside, os.path.basename(name)), "wb") as out,
                ):
                    while True:
                        piece = reading.read(PIECE)
                        if not piece:
                            break
                        digest.update(piece)
                        out.write(piece)
                if digest.hexdigest() != said["sha256"]:
                    raise Stop(
                        f"{name} did not arrive as it was stored: its sha256 differs. Download it again.", FAILED
                    )
    except (KeyError, zipfile.BadZipFile) as problem:
        raise Stop(f"The adapter did not arrive whole ({problem}). Download it again.", FAILED) from None
