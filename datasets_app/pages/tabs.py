"""The pages about one version, side by side."""

from django.urls import reverse

from datasets_app import selectors
from datasets_app.models import DatasetVersion, ReviewRound
from datasets_app.selectors import review as reviews
from projects import contributions
from projects.contributions import Tab


def version_tabs(version: DatasetVersion) -> list[Tab]:
    """Findings first, then what this app and the apps above have to show about the version."""
    open_findings = sum(found.decided is None for found in selectors.findings(version))
    here = [version.project.slug, version.pk]
    tabs = [
        Tab("Findings", version.get_absolute_url(), open_findings),
        Tab("Rows", reverse("version-rows", args=here)),
    ]
    before = _before(version)
    if before is not None:
        tabs.append(Tab("Changes", reverse("diff-detail", args=[version.project.slug, before, version.pk])))
    rounds = reviews.rounds_of(version).filter(state=ReviewRound.State.OPEN).count()
    tabs.append(Tab("Review", reverse("version-reviews", args=here), rounds))
    return [*tabs, *(tab for contribute in contributions.version_tabs for tab in contribute(version))]


def _before(version: DatasetVersion) -> int | None:
    """What the changes are shown against: the version it was made from, else the one before it in the dataset."""
    parent = version.parents.order_by("pk").values_list("pk", flat=True).first()
    if parent is not None:
        return parent
    older = DatasetVersion.objects.filter(dataset=version.dataset_id, number__lt=version.number).order_by("-number")
    return older.values_list("pk", flat=True).first()
