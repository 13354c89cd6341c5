"""The words of the command, and its end."""

import argparse
import sys

from luthier import __version__, commands
from luthier.errors import INTERRUPTED, USAGE, Stop
from luthier.output import Out

TOOLS = ("trl", "axolotl", "llama_factory", "luthier")
STEERING = {
    "cancel": "stop a run",
    "pause": "let a run save and rest",
    "resume": "let a paused run go on",
    "retry": "try a run again from its newest checkpoint",
}
ABOUT = """Data in, runs started and watched, adapters out: Luthier from a script or a CI job.

Log in once (“luthier login https://luthier.example.org”), or set LUTHIER and
LUTHIER_TOKEN. A token opens one project."""
ENDS = """ends with
  0  done: the run succeeded, the file became a version
  1  the work ended without success
  2  the command was given wrong
  3  the server refused; its code and words are on stderr
  4  the server does not answer
  5  --timeout is over; the work goes on without the command
"""


def parser():
    top = argparse.ArgumentParser(
        prog="luthier", description=ABOUT, epilog=ENDS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"luthier {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="the answer as JSON, a line for each thing")
    common.add_argument("--quiet", action="store_true", help="nothing on stderr but refusals")
    verbs = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def verb(name, run, text, **more):
        added = verbs.add_parser(name, parents=[common], help=text, description=f"{text[0].upper()}{text[1:]}.", **more)
        added.set_defaults(do=run)
        return added

    _account(verb)
    _data(verb)
    _launch(verb)
    _runs(verb)
    _out(verb)
    return top


def _account(verb):
    one = verb("login", commands.login, "keep the address and a token for the next commands")
    one.add_argument("address", help="such as https://luthier.example.org")
    one.add_argument("--token-stdin", action="store_true", help="read the token from stdin instead of asking for it")
    one.add_argument("--allow-http", action="store_true", help="send the token without encryption")
    verb("logout", commands.logout, "forget the token")


def _data(verb):
    one = verb("upload", commands.upload, "bring files into a dataset; begun again, it goes on where it was")
    one.add_argument("files", nargs="+", metavar="FILE")
    one.add_argument("--dataset", required=True, help="name or id")
    one.add_argument("--create", action="store_true", help="make the dataset when there is none of that name")
    one.add_argument("--format", default="", help="left out: detected")
    one.add_argument("--hold", action="store_true", help="wait with the version when rows are bad")
    _waiting(one)
    verb("datasets", commands.datasets, "list datasets")
    verb("bases", commands.bases, "list base models")


def _launch(verb):
    one = verb(
        "launch", commands.launch, "start a run from a spec of Luthier, TRL, Axolotl or LLaMA-Factory and follow it"
    )
    one.add_argument("spec", help="a YAML file, or - for stdin")
    one.add_argument("--name", default="", help="of the run; left out: the spec's")
    one.add_argument("--base", default="", help="name of a base instead of the spec's")
    one.add_argument("--data", default="", help="dataset or version (“Tickets v3”) instead of the spec's")
    one.add_argument("--validation", default="", metavar="DATA", help="rows to look at it with, not learnt from")
    one.add_argument("--parent", default="", help="name of an adapter to go on from")
    one.add_argument("--tool", default="", choices=("", *TOOLS), help="whose spec it is; left out: found out")
    one.add_argument("--gpus", type=int, default=1, help="on how many it ran there; more become accumulation")
    one.add_argument("--without", action="append", metavar="KEY", help="leave this refused line out; may be repeated")
    one.add_argument("--cut", choices=("drop", "cut"), help="what to do with rows that are too long")
    one.add_argument("--leak-reason", default="", help="why rows of golden sets are trained on")
    one.add_argument("--budget-reason", default="", help="asks the owners for a yes beyond the month's budget")
    one.add_argument("--draft", action="store_true", help="make a draft and do not start it")
    one.add_argument("--dry-run", action="store_true", help="read the spec, say what it means, make nothing")
    _waiting(one)


def _runs(verb):
    one = verb("runs", commands.runs, "list runs, the newest first")
    one.add_argument("--state", default="", help="only those in this state")
    one.add_argument("--limit", type=int, default=20)
    one = verb("watch", commands.watch, "follow a run to its end")
    one.add_argument("run", type=int)
    one.add_argument("--timeout", type=float, default=0.0, metavar="SECONDS", help="0: as long as it takes")
    for name, text in STEERING.items():
        one = verb(name, commands.steer, text)
        one.add_argument("run", type=int)
        if name in ("cancel", "pause"):
            one.add_argument("--reason", default="")


def _out(verb):
    one = verb("export", commands.export, "write a run as a spec of another tool")
    one.add_argument("run", type=int)
    one.add_argument("--as", dest="tool", choices=TOOLS, default="luthier")
    one.add_argument("-o", "--output", default="", help="file or folder; left out: stdout")
    one = verb("download", commands.download, "fetch an adapter, every file held against its sha256")
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument("run", type=int, nargs="?", help="the run that made it")
    which.add_argument("--adapter", type=int, metavar="ID")
    one.add_argument("-o", "--output", default="", help="left out: the adapter's name")
    one.add_argument("--unpack", action="store_true", help="a folder instead of a zip")


def _waiting(one):
    one.add_argument("--no-wait", action="store_true", help="do not wait for the end")
    one.add_argument("--timeout", type=float, default=0.0, metavar="SECONDS", help="0: as long as it takes")


def main(arguments=None):
    """Returns the exit code."""
    options = parser().parse_args(arguments)
    out = Out(options.json, options.quiet)
    try:
        return options.do(options, out)
    except Stop as stop:
        out.clear()
        print(f"luthier: {stop.message}", file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:
        out.clear()
        print("luthier: interrupted; work on the server goes on.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except FileExistsError as there:
        print(f"luthier: {there.filename} is there already. Say another place with -o.", file=sys.stderr)
        return USAGE
