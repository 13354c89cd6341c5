"""Looks at ports, programs and processes, any of which may be gone the moment after."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from benchmarks.chaos.servers import Server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def first_there(*places: str | None) -> str | None:
    return next((place for place in places if place and os.access(place, os.X_OK)), None)


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def offspring(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def repeat(job: Callable[[], None], done: threading.Event, pause: float = 0.2) -> None:
    while not done.wait(pause):
        try:
            job()
        except psutil.Error:
            continue  # a process ended while it was looked at


def is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def keep_server(server: "Server") -> Callable[[], None]:
    def keep() -> None:
        if not server.is_alive():
            server.start()

    return keep
