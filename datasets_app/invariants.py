"""What must be true of dataset versions at every moment."""

from collections.abc import Iterator

from datasets_app.models import DatasetVersion
from projects import artefacts
from projects.invariants import NEWEST


def versions_are_whole(deep: bool) -> Iterator[str]:
    """Every version has its files with the digest of its row; deep reads every byte."""
    for version in DatasetVersion.every.order_by("-pk")[: None if deep else NEWEST]:
        try:
            if artefacts.read_manifest(version.key)["digest"] != version.manifest.get("digest"):
                yield f"version {version.pk}: what is stored as {version.key} is something else"
            elif deep:
                artefacts.check_directory(artefacts.fetch_directory(version.key, verify=False), version.manifest)
        except artefacts.ArtefactDamaged as damaged:
            yield f"version {version.pk}: {damaged.message}"


INVARIANTS = [
    ("version_files", "Every dataset version's files are there, with the digest of its row.", versions_are_whole),
]
