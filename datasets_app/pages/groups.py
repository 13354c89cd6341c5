"""Rows of a finding that belong together: copies, near copies, answers to one prompt."""

from collections.abc import Callable, Sequence
from typing import Any

from datasets_app import selectors
from datasets_app.models import DatasetVersion
from datasets_app.selectors import FindingView

MEMBERS_SHOWN = 3
CLUSTERS_FILE = "words.clusters.npy"
Group = dict[str, Any]  # {"rows": indices, the first is what the others are held against, "total", "alike"}


def copies(version: DatasetVersion, found: FindingView) -> Sequence[Group]:
    """Rows with equal content, the largest sets first."""
    return _by_key(selectors.column(version, "row_hash"), selectors.found_rows(version, found.code), with_first=True)


def conflicts(version: DatasetVersion, found: FindingView) -> Sequence[Group]:
    """Rows with one prompt."""
    return _by_key(selectors.column(version, "prompt_hash"), selectors.found_rows(version, found.code))


def near_copies(version: DatasetVersion, found: FindingView) -> Sequence[Group]:
    """Rows of one cluster; its leader is the earliest. Without the file of clusters, the examples of the finding."""
    import numpy as np

    path = selectors.version_path(version).parent / CLUSTERS_FILE
    if not path.is_file():
        return [_example(one) for one in found.detail.get("examples", [])]
    leaders = np.load(path, mmap_mode="r", allow_pickle=False)
    members = np.asarray(selectors.found_rows(version, found.code))
    alike = {m["row"]: m["jaccard"] for one in found.detail.get("examples", []) for m in one["members"]}
    return _Lazy(leaders[members], members, leads=True, alike=alike)


def near_conflicts(version: DatasetVersion, found: FindingView) -> Sequence[Group]:
    return [
        {"rows": pair["rows"], "total": 2, "alike": {pair["rows"][1]: pair["jaccard"]}}
        for pair in found.detail.get("pairs", [])
    ]


def _example(one: dict[str, Any]) -> Group:
    rows = [m["row"] for m in one["members"]]
    alike = {m["row"]: m["jaccard"] for m in one["members"]}
    return {"rows": [one["leader"], *rows[:MEMBERS_SHOWN]], "total": len(rows) + 1, "alike": alike}


def _by_key(keys: Any, rows: Sequence[int], *, with_first: bool = False) -> Sequence[Group]:
    """Rows of the finding by their key; `with_first` adds the first of all with that key, which is none of them."""
    import numpy as np

    members = np.asarray(rows)
    return _Lazy(keys[members], members, firsts=keys if with_first else None)


class _Lazy(Sequence[Group]):
    """Groups in order of their size, made when their page is shown."""

    def __init__(self, keys: Any, members: Any, *, leads: bool = False, firsts: Any = None, alike: Any = None) -> None:
        import numpy as np

        self._order = np.argsort(keys, kind="stable")
        self._keys, self._starts, self._sizes = np.unique(keys[self._order], return_index=True, return_counts=True)
        self._by_size = np.argsort(-self._sizes, kind="stable")
        self._members, self._leads, self._firsts, self._alike = members, leads, firsts, alike or {}

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, part: Any) -> Any:
        return [self._group(int(n)) for n in self._by_size[part]] if isinstance(part, slice) else self._group(part)

    def _group(self, n: int) -> Group:
        start, size = int(self._starts[n]), int(self._sizes[n])
        first = self._first(n)
        shown = MEMBERS_SHOWN + (first is None)
        rows = [int(row) for row in self._members[self._order[start : start + min(size, shown)]]]
        leading = [] if first is None else [first]
        return {"rows": leading + rows, "total": size + len(leading), "alike": self._alike}

    def _first(self, n: int) -> int | None:
        """What the rows are held against, when it is none of them."""
        if self._leads:
            return int(self._keys[n])
        return None if self._firsts is None else int((self._firsts == self._keys[n]).argmax())


GROUPED: dict[str, Callable[[DatasetVersion, FindingView], Sequence[Group]]] = {
    "exact_duplicates": copies,
    "near_duplicates": near_copies,
    "conflicting_answers": conflicts,
    "near_conflicts": near_conflicts,
}
