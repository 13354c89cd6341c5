"""What each command does: one function for each, which returns the exit code."""

import getpass
import os
import sys

from luthier import account, fetching, launching, sending, watching
from luthier.errors import DONE, USAGE, Stop
from luthier.output import table


def login(options, out):
    address = account.checked_address(options.address, options.allow_http)
    asked = sys.stdin.readline() if options.token_stdin or not sys.stdin.isatty() else getpass.getpass("API token: ")
    token = asked.strip()
    if not token:
        raise Stop("No token came. Make one under “API tokens” of your project.", USAGE)
    email, project = account.whoami(address, token)
    file = account.keep(address, token, project["slug"])
    said = {"address": address, "email": email, "project": project["slug"], "role": project["role"], "file": str(file)}
    out.result(said, f"Logged in as {email}, {project['role']} of {project['name']}. The token is kept in {file}.")
    return DONE


def logout(options, out):
    account.forget()
    out.result({"logged_in": False}, "The token is forgotten here. Revoke it under “API tokens” if nobody needs it.")
    return DONE


def upload(options, out):
    server = account.server(options)
    dataset = sending.find_dataset(server, options.dataset, options.create)
    told = {"hold": options.hold, **({"format": options.format} if options.format else {})}
    code = DONE
    for path in options.files:
        sent = sending.send(server, path, dataset, told, out)
        found = sent if options.no_wait else sending.read(server, sent, out, options.timeout)
        code = max(code, sending.outcome(found))
        out.result(found, sending.words(found))
    return code


def launch(options, out):
    server = account.server(options)
    found = launching.read(server, _text(options.spec), options)
    launching.explain(found, out)
    if options.dry_run:
        out.result(
            found, f"{found['dialect']} spec, {'refused' if found['recipe'] is None else 'readable'}; nothing was made."
        )
        return DONE if found["recipe"] is not None else launching.REFUSED
    draft = launching.make(server, found, launching.refuse(found), options.name)
    if options.draft:
        out.result(draft, f"{draft['name']} is a draft: run {draft['id']}.")
        return DONE
    given = {"cut": options.cut, "leak_reason": options.leak_reason, "budget_reason": options.budget_reason}
    run = launching.start(server, draft, {name: value for name, value in given.items() if value}, out, options.timeout)
    if options.no_wait:
        out.result(run, watching.told(run))
        return DONE
    return _watched(server, run["id"], options, out)


def runs(options, out):
    server = account.server(options)
    found = []
    for run in server.everything("runs/", **({"state": options.state} if options.state else {})):
        found.append(run)
        if len(found) == options.limit:
            break
    rows = [_row(run) for run in found]
    out.result(found, table(rows, ("ID", "NAME", "METHOD", "STATE", "STEP", "LOSS", "COST")))
    return DONE


def _row(run):
    loss = "" if run["last_loss"] is None else f"{run['last_loss']:.4g}"
    step = f"{run['step']}/{run['total_steps']}"
    return (run["id"], run["name"], run["method"], run["state"], step, loss, run["cost"] or "")


def bases(options, out):
    found = list(account.server(options).everything("bases/"))
    rows = [(one["id"], one["name"], one["state"], (one["fingerprint"] or "")[:8]) for one in found]
    out.result(found, table(rows, ("ID", "NAME", "STATE", "FINGERPRINT")))
    return DONE


def datasets(options, out):
    found = list(account.server(options).everything("datasets/"))
    out.result(found, table([(one["id"], one["name"], one["purpose"]) for one in found], ("ID", "NAME", "PURPOSE")))
    return DONE


def watch(options, out):
    return _watched(account.server(options), options.run, options, out)


def _watched(server, run, options, out):
    found = watching.watch(server, run, out, options.timeout)
    out.result(found, watching.told(found))
    return watching.OVER[found["state"]]


def steer(options, out):
    """cancel, pause, resume, retry: one call each."""
    body = {"reason": options.reason} if getattr(options, "reason", "") else {}
    run = account.server(options).post(f"runs/{options.run}/{options.command}/", body)
    out.result(run, watching.told(run))
    return DONE


def export(options, out):
    written = account.server(options).get(f"runs/{options.run}/export/", **{"as": options.tool})
    for one in written["lost"]:
        out.note(f"Not carried over ({one['knob']}): {one['text']}")
    if options.output in ("", "-"):
        out.result(written, written["text"].rstrip("\n"))
        return DONE
    target = os.path.join(options.output, written["file_name"]) if os.path.isdir(options.output) else options.output
    with open(target, "x", encoding="utf-8") as file:
        file.write(written["text"])
    out.result({**written, "file": target}, f"{target}. Start it with: {written['command']}")
    return DONE


def download(options, out):
    server = account.server(options)
    number = options.adapter or server.get(f"runs/{options.run}/")["adapter"]
    if not number:
        raise Stop(f"Run {options.run} has made no adapter (yet).")
    target, said = fetching.download(server, number, options.output, options.unpack, out)
    out.result({"adapter": said, "path": target}, f"{target}: {said['name']}, every file as it was stored.")
    return DONE


def _text(path):
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as problem:
        raise Stop(f"{path} cannot be read: {problem}.", USAGE) from None
