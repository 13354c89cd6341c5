"""How a finished change becomes a proposal where the project wants a second person to see it."""

from datasets_app.models import Build, Dataset, DatasetVersion, Proposal, Stage, Upload


def stage_for(dataset: Dataset) -> Stage:
    """The first version of a dataset changes nothing, so nobody needs to agree to it."""
    if not dataset.project.review_data_changes:
        return Stage.RELEASED
    return Stage.PROPOSED if dataset.versions.exists() else Stage.RELEASED


def propose(job: Upload | Build, version: DatasetVersion) -> Proposal | None:
    """Open the proposal of a version that was not released; forget one that is not needed any more."""
    waiting = Proposal.objects.filter(build=job).first() if isinstance(job, Build) else None
    if version.stage == Stage.RELEASED:
        if waiting:
            waiting.delete()
        return None
    if waiting is None:
        waiting = Proposal(
            project=version.project,
            dataset=version.dataset,
            title=title_of(job)[:200],
            base=version.dataset.versions.order_by("-number").first(),
            build=job if isinstance(job, Build) else None,
            proposed_by=version.created_by,
        )
    if waiting.version_id:  # brought up to date: what was looked at before is replaced
        DatasetVersion.every.filter(pk=waiting.version_id).update(stage=Stage.DECLINED)
        waiting.base = job.source if isinstance(job, Build) and job.source else waiting.base
    waiting.version, waiting.state = version, Proposal.State.OPEN.value
    waiting.save()
    return waiting


def drop_proposal(build: Build) -> None:
    """Nothing came of the change, so there is nothing to decide; one that was brought up to date keeps its old rows."""
    proposal = Proposal.objects.filter(build=build, state=Proposal.State.BUILDING).first()
    if proposal is None:
        return
    if proposal.version_id is None:
        proposal.delete()
    else:
        Proposal.objects.filter(pk=proposal.pk).update(state=Proposal.State.OPEN)


def title_of(job: Upload | Build) -> str:
    return f"Rows of {job.file_name}" if isinstance(job, Upload) else f"Change of {job.source or job.dataset}"
