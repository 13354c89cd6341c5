"""What apps add to pages that belong to no single one of them: what needs people, ancestry, overview figures."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from projects.domain.contests import Contest
from projects.domain.staleness import Mark
from projects.models import LedgerEntry, Project, User


@dataclass(frozen=True)
class Need:
    """Something that waits for a person. `tone` is that of a state: attention, failed, waiting."""

    text: str
    url: str
    tone: str
    at: datetime
    kind: str = ""


@dataclass(frozen=True)
class Node:
    """One thing with an ancestry. `id` is unique in the project, such as "run:7"."""

    id: str
    kind: str
    label: str
    url: str
    state: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


class Edge(NamedTuple):
    """`source` is what `target` descends from. `onward`: what hangs on the target hangs on the source, too; without it
    the target has used the source, and nothing of it is in what the target made."""

    source: str
    target: str
    label: str = ""
    onward: bool = True


class Brief(NamedTuple):
    """What a graph of thousands needs of each node; `group` are siblings that may be drawn as one."""

    id: str
    kind: str
    label: str
    state: str = ""
    group: str = ""
    group_label: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of node: its names, its place among the others, what PROV calls it, and why people may withdraw one."""

    title: str
    word: str
    rank: int
    prov: str = "entity"
    aside: bool = False  # drawn when somebody asks for it
    causes: tuple[str, ...] = ()


class LineageSource(Protocol):
    """What an app knows of a project's lineage. Ids are "word:number"; an app looks only at its own."""

    kinds: Mapping[str, Kind]

    def links(self, project: Project) -> Iterable[Edge]:
        """Every edge that ends at one of its nodes."""

    def briefs(self, project: Project, ids: Collection[str] | None = None) -> Iterable[Brief]:
        """Every one of its nodes, in the order of their numbers; or at least those asked for."""

    def nodes(self, project: Project, ids: Collection[str]) -> list[Node]:
        """Those of its nodes in full; ids that are not its own, or not of this project, are passed over."""

    def marks(self, project: Project) -> Iterable[Mark]:
        """What is wrong with its nodes and with all that descends from them."""


@dataclass(frozen=True)
class Tab:
    """A page beside others about the same thing; `count` is what waits on it, None for nothing to count."""

    label: str
    url: str
    count: int | None = None


@dataclass(frozen=True)
class Figure:
    """A Plotly figure as a dict, and the same as a table: {"head": [...], "rows": [[...]]}."""

    id: str
    title: str
    figure: dict[str, Any]
    table: dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """A piece of a page that belongs to an app above: the name of a fragment and what it shows."""

    template: str
    it: Any


@dataclass(frozen=True)
class Product:
    """What work was done for and still exists. `subject` and `on_the_way` are (kind, number) of ledger lines:

    its own work, and whatever failed or was thrown away before it came to be.
    """

    label: str
    url: str
    at: datetime
    subject: tuple[str, int]
    on_the_way: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class RunScore:
    """What an evaluation said of what a run made: a score of one measure with its interval against the base."""

    measure: str
    value: float
    difference: float
    low: float
    high: float
    n: int
    url: str
    grader: str = ""  # the measure without the golden set, and the golden set
    golden: str = ""


class Examiner(Protocol):
    """An app above training that says how good adapters are. Adapters are told by their numbers."""

    def ask(self, adapter: Any, golden: Any, by: User) -> int:
        """Have an adapter examined on a golden set, once; 1 if that was not asked for before."""

    def judged(self, adapter: Any, base: Any) -> tuple[Any, str]:
        """The verdict on an adapter on a version of its base by all that was measured, and the digest of that."""

    def pending(self, adapters: Sequence[int], golden: Any) -> bool:
        """Whether any of them is still being examined on it."""

    def contest(self, adapters: Sequence[int], golden: Any) -> Contest | None:
        """Which of those that were examined is best, row by row of the golden set."""

    def scores(self, adapters: Sequence[int]) -> dict[int, list[RunScore]]:
        """The newest result of each on each golden set."""

    def derived_scores(self, models: Sequence[int]) -> dict[int, list[RunScore]]:
        """The same of models made of adapters, against the adapter on its base."""


needs: list[Callable[[Project, User], list[Need]]] = []
lineage: list[LineageSource] = []
# Bytes that an app stores for a project: (what they are, how many), shown in the settings.
storage: list[Callable[[Project], list[tuple[str, int]]]] = []
# Called with every sweep of the reconciler: what an app throws away when its time is over.
sweeps: list[Callable[[], int]] = []
# Called with a dataset version: pages about it that belong to apps above.
version_tabs: list[Callable[[Any], list[Tab]]] = []
# What money was spent for: each thing that survived, with what its making cost.
products: list[Callable[[Project], list[Product]]] = []
# Called with a job whose attempt is over and written down, by its worker: what waited for it need not wait for a sweep.
ended: list[Callable[[Any], object]] = []
# Called on every host every few minutes, beside its beat: what an app keeps of files that lie there.
looks: list[Callable[[], int]] = []
# Called with every new line of the ledger, in its transaction: what an app keeps on its own rows about money.
booked: list[Callable[[LedgerEntry], None]] = []
examiners: list[Examiner] = []
overview_figures: list[Callable[[Project], list[Figure]]] = []
overview_panels: list[Callable[[Project], list[Panel]]] = []
# Called with a base-model version: what stands beside its facts.
base_panels: list[Callable[[Any], list[Panel]]] = []
