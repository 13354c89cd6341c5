"""Where the address and the token are kept: a file only its owner can read, or the environment."""

import json
import os
import pathlib
import urllib.parse

from luthier.errors import USAGE, Stop
from luthier.server import Server

LOCAL = ("localhost", "127.0.0.1", "::1")


def place():
    config = os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config"
    return pathlib.Path(config) / "luthier" / "account.json"


def checked_address(address, allow_http=False):
    """An address over which a token may travel."""
    parts = urllib.parse.urlsplit(address if "://" in address else f"https://{address}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Stop(f"“{address}” is no address. It looks like https://luthier.example.org.", USAGE)
    if parts.scheme == "http" and parts.hostname not in LOCAL and not allow_http:
        raise Stop("Over http:// everybody on the way reads the token. Use https://, or say --allow-http.", USAGE)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def whoami(address, token):
    """The person behind a token and the project it opens."""
    me = Server(address, token).ask("GET", "/api/v1/me/")
    if not me["projects"]:
        raise Stop("This token opens no project any more: whoever made it has left. Make another.")
    return me["email"], me["projects"][0]


def keep(address, token, project):
    file = place()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "w", encoding="utf-8") as out:
        os.chmod(file, 0o600)  # it may have been there with other rights
        json.dump({"address": address, "token": token, "project": project}, out)
    return file


def forget():
    place().unlink(missing_ok=True)


def server(options):
    """The server of the environment, else the one that was logged in to."""
    address, token = os.environ.get("LUTHIER"), os.environ.get("LUTHIER_TOKEN")
    if address and token:
        address = checked_address(address, allow_http=os.environ.get("LUTHIER_ALLOW_HTTP") == "1")
        project = os.environ.get("LUTHIER_PROJECT") or whoami(address, token)[1]["slug"]
        return Server(address, token, project)
    try:
        kept = json.loads(place().read_text(encoding="utf-8"))
        return Server(kept["address"], kept["token"], kept["project"])
    except FileNotFoundError:
        raise Stop("Not logged in. Run “luthier login ADDRESS”, or set LUTHIER and LUTHIER_TOKEN.", USAGE) from None
    except (OSError, ValueError, KeyError) as problem:
        raise Stop(f"{place()} cannot be read ({problem}). Log in again.", USAGE) from None
