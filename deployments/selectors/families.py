"""Which base follows which, what stands on the older ones, and what was ordered for that."""

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Count, QuerySet
from django.utils import timezone

from deployments.domain.endings import Ending
from deployments.models import Deployment, Succession, Upgrade, UpgradeItem
from deployments.models.upgrades import UNFINISHED
from projects.models import Project
from training import selectors as training
from training.models import BaseModelVersion


@dataclass(frozen=True)
class Pair:
    """An older base that adapters stand on, and the version that follows it."""

    old: BaseModelVersion
    new: BaseModelVersion
    adapters: int
    live: int
    untouched: int  # adapters that no upgrade of this pair has looked at
    latest: Upgrade | None
    declared: Succession | None = None
    between: tuple[BaseModelVersion, ...] = ()  # other versions that follow the old one

    @property
    def ending(self) -> Ending | None:
        return ending(self.old)


def ending(base: BaseModelVersion) -> Ending | None:
    return Ending(base.end_of_life, timezone.localdate()) if base.end_of_life else None


@dataclass(frozen=True)
class Ends:
    """A base with adapters whose end is known, and where they could go."""

    base: BaseModelVersion
    ending: Ending
    adapters: int
    live: int
    new: BaseModelVersion | None


def endings(project: Project) -> list[Ends]:
    """What ends first comes first; bases that no adapter stands on need nobody."""
    ended = project.bases.exclude(end_of_life=None).select_related("project").order_by("end_of_life", "pk")
    rows = list(ended)
    counts = dict(project.adapters.order_by().values_list("base").annotate(Count("pk"))) if rows else {}
    rows = [base for base in rows if counts.get(base.pk)]
    if not rows:
        return []
    after, live, today = successors(project), live_on(project), timezone.localdate()
    return [
        Ends(
            base,
            Ending(base.end_of_life, today),  # type: ignore[arg-type]
            counts[base.pk],
            live.get(base.pk, 0),
            next(iter(after.get(base.pk, [])), None),
        )
        for base in rows
    ]


def successions(project: Project) -> list[Succession]:
    return list(project.successions.select_related("old", "new", "declared_by").order_by("pk"))


def successors(project: Project) -> dict[int, list[BaseModelVersion]]:
    """By base every version that follows it, the newest first: of its repository or declared, and their followers."""
    bases = list(training.ready_bases(project).select_related("project"))
    if len(bases) < 2:
        return {}  # most projects have one base, and every overview asks
    by_pk = {base.pk: base for base in bases}
    direct: dict[int, set[int]] = defaultdict(set)
    for base in bases:
        if base.repo_id:
            direct[base.pk] |= {one.pk for one in bases if one.repo_id == base.repo_id and one.pk > base.pk}
    for row in successions(project):
        direct[row.old_id].add(row.new_id)
    found = {pk: _reached(pk, direct) & by_pk.keys() for pk in by_pk}
    return {pk: [by_pk[one] for one in sorted(reached, reverse=True)] for pk, reached in found.items() if reached}


def _reached(start: int, direct: dict[int, set[int]]) -> set[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        for one in direct.get(waiting.pop(), ()):
            if one not in found and one != start:
                found.add(one)
                waiting.append(one)
    return found


def follows(old: BaseModelVersion, new: BaseModelVersion) -> bool:
    return any(one.pk == new.pk for one in successors(old.project).get(old.pk, []))


def pairs(project: Project) -> list[Pair]:
    """Every base with adapters and a successor beside the newest that follows it; what stands on most first."""
    after = successors(project)
    counts = dict(project.adapters.order_by().values_list("base").annotate(Count("pk"))) if after else {}
    olds = [pk for pk in after if counts.get(pk)]
    rows = project.bases.filter(pk__in=olds).select_related("project") if olds else []
    wanted = [(old, after[old.pk]) for old in rows]
    return _pairs(project, [(old, news[0], news[1:]) for old, news in wanted], counts)


def pair(old: BaseModelVersion, new: BaseModelVersion) -> Pair:
    counts = {old.pk: old.project.adapters.filter(base=old).count()}
    return _pairs(old.project, [(old, new, [])], counts)[0]


def _pairs(
    project: Project,
    wanted: list[tuple[BaseModelVersion, BaseModelVersion, list[BaseModelVersion]]],
    counts: dict[int, int],
) -> list[Pair]:
    if not wanted:
        return []
    live = live_on(project)
    looked = _looked_at(project)
    newest: dict[tuple[int, int], Upgrade] = {}
    for row in upgrades(project).filter(old__in=[old for old, _, _ in wanted]):
        newest.setdefault((row.old_id, row.new_id), row)
    declared = {(row.old_id, row.new_id): row for row in successions(project)}
    found = [
        Pair(
            old,
            new,
            counts.get(old.pk, 0),
            live.get(old.pk, 0),
            counts.get(old.pk, 0) - looked.get((old.pk, new.pk), 0),
            newest.get((old.pk, new.pk)),
            declared.get((old.pk, new.pk)),
            tuple(between),
        )
        for old, new, between in wanted
    ]
    return sorted(found, key=lambda one: (-one.live, -one.adapters, one.old.pk))


def live_on(project: Project) -> dict[int, int]:
    """By base, how many slots run an adapter of it."""
    rows = Deployment.objects.filter(project=project, live=True).order_by().values_list("adapter__base")
    return dict(rows.annotate(Count("pk")))


def _looked_at(project: Project) -> dict[tuple[int, int], int]:
    """By pair of bases, how many adapters an upgrade that was not given up has taken up."""
    rows = UpgradeItem.objects.filter(upgrade__project=project).exclude(upgrade__state__in=["cancelled", "draft"])
    named = rows.order_by().values_list("upgrade__old", "upgrade__new")
    return {(old, new): n for old, new, n in named.annotate(n=Count("adapter", distinct=True))}


def upgrades(project: Project) -> QuerySet[Upgrade]:
    """All orders, the newest first."""
    joined = ("project", "old__project", "new__project", "created_by", "started_by")
    return project.upgrades.select_related(*joined).order_by("-pk")


def under_way(old: BaseModelVersion, new: BaseModelVersion) -> Upgrade | None:
    """The one order of these two that is not over."""
    return upgrades(old.project).filter(old=old, new=new, state__in=UNFINISHED).first()


def predecessors(base: BaseModelVersion) -> list[Pair]:
    """Older versions of a base that adapters still stand on."""
    after = successors(base.project)
    counts = dict(base.project.adapters.order_by().values_list("base").annotate(Count("pk")))
    olds = [pk for pk, news in after.items() if counts.get(pk) and any(one.pk == base.pk for one in news)]
    rows = base.project.bases.filter(pk__in=olds).select_related("project")
    return _pairs(base.project, [(old, base, []) for old in rows], counts)
