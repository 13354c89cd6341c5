"""Whose turn it is: the urgent first, among equals the project with the least at work, then the longest waiting."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, TypeVar


class Priority(IntEnum):
    """What people may choose. Small jobs that somebody waits for in front of a page go before all of these."""

    LOW = -1
    NORMAL = 0
    HIGH = 1


@dataclass(frozen=True)
class Waiting:
    """One job that waits, or the longest waiting of several alike. `job` is whatever the caller finds it by."""

    job: Any
    project: int
    priority: int
    since: datetime


W = TypeVar("W", bound=Waiting)


def first(waiting: Iterable[W], running: Mapping[int, int]) -> W | None:
    """The one to start next. `running` counts the jobs at work by project."""
    return min(waiting, key=lambda one: (-one.priority, running.get(one.project, 0), one.since), default=None)


def line_up(waiting: Iterable[W], running: Mapping[int, int]) -> list[W]:
    """All that wait in the order in which they would start if nothing else came and nothing ended.

    The same rule as `first`, again and again: whoever has just started something counts as having one more at work.
    """
    levels: dict[int, dict[int, list[W]]] = defaultdict(lambda: defaultdict(list))
    for one in waiting:
        levels[one.priority][one.project].append(one)
    busy, line = dict(running), []
    for _, projects in sorted(levels.items(), reverse=True):
        for queue in projects.values():
            queue.sort(key=lambda one: one.since, reverse=True)
        turns = [(busy.get(project, 0), queue[-1].since, project) for project, queue in projects.items()]
        heapq.heapify(turns)
        while turns:
            _, _, project = turns[0]
            queue = projects[project]
            line.append(queue.pop())
            busy[project] = busy.get(project, 0) + 1
            if queue:
                heapq.heapreplace(turns, (busy[project], queue[-1].since, project))
            else:
                heapq.heappop(turns)
    return line
