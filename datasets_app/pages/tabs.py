"""The pages about one version, side by side."""

from django.urls import NoReverseMatch, reverse

from datasets_app import selectors
from datasets_app.models import DatasetVersion
from projects import contributions
from projects.contributions import Tab

# Pages of this app about a version; one that an installation does not have is left out.
OWN = (("Rows", "version-rows"), ("Changes", "version-changes"), ("Review", "version-reviews"))


def version_tabs(version: DatasetVersion) -> list[Tab]:
    """Findings first, then what this app and the apps above have to show about the version."""
    open_findings = sum(found.decided is None for found in selectors.findings(version))
    tabs = [Tab("Findings", version.get_absolute_url(), open_findings)]
    for label, name in OWN:
        try:
            tabs.append(Tab(label, reverse(name, args=[version.project.slug, version.pk])))
        except NoReverseMatch:
            continue
    return [*tabs, *(tab for contribute in contributions.version_tabs for tab in contribute(version))]
