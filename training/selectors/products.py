"""Which adapters survived, and which runs failed on the way to each."""

from projects.contributions import Product
from projects.domain.states import OVER
from projects.models import Project
from training.models import Adapter
from training.selectors.runs import LABEL


def products(project: Project) -> list[Product]:
    """Adapters with the runs on the same dataset, base and method that ended without one since the last that did.

    Runs after the newest adapter are on their way to one that does not exist yet.
    """
    adapters = {row.run_id: row for row in Adapter.objects.filter(project=project).select_related("project")}
    if not adapters:
        return []
    runs = project.runs.filter(state__in=[state.value for state in OVER]).order_by("finished_at", "pk")
    waiting: dict[tuple[int, str, str], list[int]] = {}
    found = []
    for pk, *line in runs.values_list("pk", "dataset_version__dataset", "base__fingerprint", "method"):
        tries = waiting.setdefault((line[0], line[1], line[2]), [])
        adapter = adapters.get(pk)
        if adapter is None:
            tries.append(pk)
            continue
        on_the_way = tuple((LABEL, number) for number in tries)
        found.append(Product(adapter.name, adapter.get_absolute_url(), adapter.created_at, (LABEL, pk), on_the_way))
        tries.clear()
    return found
