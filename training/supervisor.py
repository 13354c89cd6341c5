"""Bodies of the background work: what each child is given, what is noted while it works, what is kept."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from datasets_app import selectors as datasets
from projects import artefacts, faults, leases
from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.models import Project
from training import proving, selectors
from training.domain.spec import RunSpec, digest
from training.models import Adapter, BaseModelVersion, Rehearsal, Run, SeenRow, TokenProfile

Event = dict[str, Any]
MEASURED = (
    "seconds",
    "steps",
    "tokens",
    "trained_tokens",
    "tokens_per_second",
    "final_loss",
    "memory_bytes",
    "memory_by_card",
    "packages",
    "device",
    "device_name",
    "points",
    "measured_steps",
    "widest",
    "saves",
    "save_seconds",
    "save_bytes",
    "peak_disk",
    "stages",
    "reference_tokens",
    "samples_taken",
    "sample_seconds",
    "looks",
    "look_seconds",
    "capacity",
)
DESCRIBED = (
    "fingerprint",
    "parts",
    "shape",
    "template",
    "quantisation",
    "dtype",
    "licence",
    "licence_link",
    "architecture",
    "parameters",
    "context_length",
    "vocab_size",
    "size_bytes",
)


def command(label: str, workdir: Path, spec: dict[str, Any]) -> list[str]:
    path = workdir / "spec.json"
    path.write_text(json.dumps(spec, indent=2, sort_keys=True))
    return engine_of(label, path)


def engine_of(label: str, spec: Path) -> list[str]:
    return [*settings.ENGINES[label], str(spec)]


# Runs


def prepare_run(run: Run, workdir: Path) -> list[str]:
    """The frozen spec, plus the places of this attempt on this machine."""
    spec = replace(
        placed(run, workdir, run.checkpoint_dir),
        fence=run.fence,
        start_at=run.start_at,
        checkpoints={str(one["step"]): one["sha256"] for one in run.checkpoints},
        grace_seconds=float(settings.STOP_GRACE_SECONDS),
        identity=digest(run.spec),
    )
    line = command("training.run", workdir, spec.as_dict())
    faults.point("run.spec_written")
    return line


def placed(run: Run | Rehearsal, workdir: Path, checkpoint_dir: Path) -> RunSpec:
    """A frozen spec with its places filled in."""
    spec, parent = RunSpec.read(run.spec), run.parent_adapter
    held_out = getattr(run, "validation_version", None)
    validation = spec.validation
    if validation is not None and held_out is not None:
        validation = replace(validation, path=str(datasets.version_path(held_out)))
    return replace(
        spec,
        base=replace(spec.base, path=str(selectors.base_path(run.base))),
        data=replace(spec.data, path=str(datasets.version_path(run.dataset_version))),
        validation=validation,
        parent=replace(spec.parent, path=str(selectors.adapter_path(parent))) if spec.parent and parent else None,
        output_dir=str(workdir / "out"),
        checkpoint_dir=str(checkpoint_dir),
        verified=str(settings.DATA_DIR / "verified" / f"{spec.base.fingerprint}.json"),
    )


def patience(phase: str) -> float:
    """Seconds of silence after which a training process hangs: reading a large base from a slow disk takes longest."""
    return settings.STALL_SECONDS * (2 if phase in {"", "loading"} else 1)


def complete_run(run: Run, workdir: Path, result: Event) -> None:
    """First the files, under a key that holds the fence; then the row that makes them an adapter."""
    made = result.get("adapter")
    if not made:
        raise Refused("The engine reported no adapter. Retry the run.", code="adapter_invalid")
    key = f"adapters/{run.pk}/run-{run.pk}-f{run.fence}"
    manifest = artefacts.commit_directory(workdir / "out", key)
    if manifest["files"] != made["files"]:
        raise Refused("The adapter's files are not what the engine wrote. Retry the run.", code="adapter_invalid")
    faults.point("run.before_adapter")
    adapter = Adapter.objects.create(
        project=run.project,
        run=run,
        name=free_name(run.project, run.name, f"run {run.pk}"),
        base=run.base,
        dataset_version=run.dataset_version,
        key=key,
        manifest=manifest,
        digest=manifest["digest"],
        rank=made["rank"],
        alpha=made["alpha"],
        size_bytes=made["size_bytes"],
        findings=made.get("findings", []),
    )
    proving.keep(adapter, made, by=run)
    faults.point("run.adapter_written")
    leases.fenced_update(
        run,
        measured={name: result.get(name) for name in MEASURED} | {"parameters": made["parameters"]},
        step=int(result["steps"]),
        tokens_seen=int(result["tokens"]),
        tokens_per_second=result.get("tokens_per_second"),
    )


def free_name(project: Project, name: str, origin: str) -> str:
    """The name for a new adapter; where there is one of that name already, with what made this one."""
    taken = Adapter.objects.filter(project=project, name=name).exists()
    return f"{name[:100]} ({origin})" if taken else name


def tidy_run(run: Run) -> None:
    """After a success nothing needs the checkpoints; the log and the spec of every attempt stay."""
    if run.state == JobState.SUCCEEDED:
        faults.point("run.before_tidy")
        shutil.rmtree(run.checkpoint_dir, ignore_errors=True)
        shutil.rmtree(run.workdir / "out", ignore_errors=True)
        faults.point("run.tidied")


# Base models


def prepare_base(base: BaseModelVersion, workdir: Path) -> list[str]:
    spec = {
        "source": base.source,
        "repo_id": base.repo_id,
        "revision": base.revision,
        "path": str(base.folder),
        # What a link in the folder may lead to.
        "root": str(settings.MODELS_DIR if base.source == "local" else base.folder),
        # What this host has hashed of it, so that a further attempt goes on from there.
        "memory": str(settings.DATA_DIR / "verified" / f"base-{base.pk}.json"),
    }
    return command("training.base", workdir, spec)


def complete_base(base: BaseModelVersion, workdir: Path, result: Event) -> None:
    same = BaseModelVersion.objects.filter(
        project=base.project, fingerprint=result["fingerprint"], state=JobState.SUCCEEDED
    ).first()
    if same is not None:
        raise Refused(
            f"Exactly these files are already registered as “{same}”. Use that one.", code="base_already_registered"
        )
    leases.fenced_update(base, revision=result["revision"], **{name: result[name] for name in DESCRIBED})
    proving.describe(base, result.get("anatomy"))


# Data as bases see it


def prepare_tokens(profile: TokenProfile, workdir: Path) -> list[str]:
    spec = _seen_spec(profile) | {"out_dir": str(workdir / "out")}
    return command("training.tokens", workdir, spec)


def note_tokens(profile: TokenProfile, event: Event) -> None:
    """The counts of a sample come long before the rest; the page shows them meanwhile."""
    if event["event"] == "sample":
        leases.fenced_update(profile, stats=event["stats"] | {"sample": True})


def complete_tokens(profile: TokenProfile, workdir: Path, result: Event) -> None:
    key = f"tokens/{profile.pk}/f{profile.fence}"
    artefacts.commit_directory(workdir / "out", key)
    leases.fenced_update(profile, key=key, stats=result["stats"])


def forget_counts(instance: TokenProfile, **_: Any) -> None:
    """With the row go the files: rows of deleted data are in them, too."""
    key = instance.key
    if key:
        transaction.on_commit(lambda: artefacts.delete(key))


def prepare_seen(row: SeenRow, workdir: Path) -> list[str]:
    return command("training.seen", workdir, _seen_spec(row) | {"index": row.index})


def complete_seen(row: SeenRow, workdir: Path, result: Event) -> None:
    leases.fenced_update(row, seen=result["seen"])


def _seen_spec(job: TokenProfile | SeenRow) -> dict[str, Any]:
    return {
        "base_path": str(selectors.base_path(job.base)),
        "data_path": str(datasets.version_path(job.version)),
    }
