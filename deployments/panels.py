"""What this app adds to pages of others: bases that end, and versions that orphan adapters."""

from deployments.selectors import families
from projects.contributions import Panel
from projects.models import Project
from training.models import BaseModelVersion


def overview(project: Project) -> list[Panel]:
    """Ends of bases that adapters stand on."""
    found = families.endings(project)
    return [Panel("deployments/_endings.html", found)] if found else []


def base(row: BaseModelVersion) -> list[Panel]:
    """What stands on the versions before this one, and what follows it."""
    if not row.is_ready:
        return []
    before = families.predecessors(row)
    after = next((pair for pair in families.pairs(row.project) if pair.old.pk == row.pk), None)
    return [Panel("deployments/_base_upgrades.html", {"before": before, "after": after})] if before or after else []
