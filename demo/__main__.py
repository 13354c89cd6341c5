"""python -m demo: sets the product up on this machine, does its main job for real, and serves the dashboard."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

from config import first_run

FIRST_PORT = 8000


def free_address() -> str:
    """The asked-for address, else the first free port from 8000 on."""
    if "LUTHIER_ADDRESS" in os.environ:
        return os.environ["LUTHIER_ADDRESS"]
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return f"127.0.0.1:{port}"
    raise SystemExit("no free port between 8000 and 8099; set LUTHIER_ADDRESS")


def build_base(folder: Path) -> None:
    """Build and pre-train the tiny base model, in a process of its own like everything that loads torch."""
    from demo.telling import DemoFailed, say, step

    step("Building a tiny base model and teaching it to read (about a million parameters)")
    if (folder / "config.json").exists():
        say("it is there already")
        return
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "training.engine.tiny", str(aside)]
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(command, cwd=first_run.ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{") and sys.stdout.isatty():
            event = json.loads(line)
            print(f"\r\033[K  {event.get('phase', '')} {event.get('done', '')}", end="", flush=True)
    if process.wait() != 0:
        raise DemoFailed("the base model could not be built")
    aside.rename(folder)
    say(f"done in {time.monotonic() - started:.0f} s")


def work(address: str, started: float) -> dict[str, object]:
    """The main job; returns the closing figures."""
    from django.conf import settings

    from demo import people, story

    build_base(Path(settings.MODELS_DIR) / story.BASE_FOLDER)
    project, staff = people.settle()
    made = story.tell(project, staff)
    exact = made.evaluation.summary["graders"]["exact_match"]
    print("\nSign in with one of these (the passwords are random and shown only now):", flush=True)
    for email, password in staff.passwords.items():
        print(f"  {email:<28} {password}", flush=True)
    return {
        "base_exact": round(exact["base"], 4),
        "adapter_exact": round(exact["adapter"], 4),
        "seconds_after_install": round(time.monotonic() - started, 1),
        "url": f"http://{address}/projects/{project.slug}/",
    }


def main() -> None:
    started = time.monotonic()
    print("Setting up", flush=True)
    first_run.prepare()
    import django

    django.setup()
    from config.processes import Manager, parts
    from demo import people

    address = free_address()
    manager = Manager(parts(address))
    manager.start()
    print(f"Luthier serves http://{address} and shows what follows as it happens", flush=True)
    try:
        if people.is_there():
            print("The demo's project is there already. To begin again: make clean demo", flush=True)
        else:
            print(json.dumps(work(address, started)), flush=True)
        if not os.environ.get("DEMO_EXIT"):
            print(f"\nServing http://{address} until Ctrl-C", flush=True)
            manager.run()
    finally:
        manager.stop()


if __name__ == "__main__":
    main()
