"""What must be true of runs and adapters at every moment."""

from collections.abc import Iterator

from projects import artefacts
from projects.domain.states import JobState
from projects.invariants import NAMED, NEWEST
from training.models import Adapter, Run


def a_success_is_one_adapter(deep: bool) -> Iterator[str]:
    for run in Run.objects.filter(state=JobState.SUCCEEDED, adapter=None)[:NAMED]:
        yield f"run {run.pk}: it succeeded without an adapter"
    made = Adapter.objects.filter(run__isnull=False).exclude(run__state=JobState.SUCCEEDED).select_related("run")
    for adapter in made[:NAMED]:
        yield f"adapter {adapter.pk}: its run {adapter.run_id} is {adapter.run.state}"  # type: ignore[union-attr]


def an_import_is_one_adapter(deep: bool) -> Iterator[str]:
    brought = Adapter.objects.filter(imported__isnull=False).exclude(imported__state=JobState.SUCCEEDED)
    for adapter in brought.select_related("imported")[:NAMED]:
        state = adapter.imported.state  # type: ignore[union-attr]
        yield f"adapter {adapter.pk}: its import {adapter.imported_id} is {state}"


def a_success_has_metrics(deep: bool) -> Iterator[str]:
    for run in Run.objects.filter(state=JobState.SUCCEEDED, metrics=None)[:NAMED]:
        yield f"run {run.pk}: it succeeded without a single metric"


def adapters_are_of_the_last_attempt(deep: bool) -> Iterator[str]:
    made = Adapter.objects.filter(run__isnull=False)
    for key, run, fence in made.values_list("key", "run_id", "run__fence"):
        if key.startswith(f"adapters/{run}/") and not key.endswith(f"-f{fence}"):
            yield f"run {run}: its adapter {key} is not of its last attempt, {fence}"


def adapters_are_whole(deep: bool) -> Iterator[str]:
    """Every adapter has its files with the manifest's digest; deep reads every byte."""
    for adapter in Adapter.objects.order_by("-pk")[: None if deep else NEWEST]:
        try:
            if artefacts.read_manifest(adapter.key)["digest"] != adapter.digest:
                yield f"adapter {adapter.pk}: what is stored as {adapter.key} is something else"
            elif deep:
                artefacts.check_directory(artefacts.fetch_directory(adapter.key, verify=False), adapter.manifest)
        except artefacts.ArtefactDamaged as damaged:
            yield f"adapter {adapter.pk}: {damaged.message}"


INVARIANTS = [
    ("one_adapter", "A run that succeeded made one adapter, and no other run has any.", a_success_is_one_adapter),
    ("one_import", "An imported adapter stems from an import that succeeded.", an_import_is_one_adapter),
    ("metrics", "A run that succeeded has metrics.", a_success_has_metrics),
    ("adapter_fence", "An adapter's files are those of its run's last attempt.", adapters_are_of_the_last_attempt),
    ("adapter_files", "Every adapter's files are there, with the digest of its row.", adapters_are_whole),
]
