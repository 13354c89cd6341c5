"""The pages of proposed changes: the list, and one with what it does."""

from typing import Any

from datasets_app import selectors
from datasets_app.models import Proposal
from datasets_app.pages.diff import diff_page
from projects.models import Project, User


def proposals_page(project: Project, query: Any) -> dict[str, Any]:
    decided = query.get("show") == "decided"
    listed = [
        {"proposal": proposal, "stale": selectors.is_stale(proposal)}
        for proposal in selectors.proposals(project, decided=decided)[:200]
    ]
    return {"listed": listed, "decided": decided}


def proposal_page(proposal: Proposal, user: User, query: Any) -> dict[str, Any]:
    waits = proposal.state == Proposal.State.OPEN
    shown = diff_page(proposal.base, proposal.version, query) if proposal.base and proposal.version else {}
    return {
        **shown,
        "proposal": proposal,
        "dataset": proposal.dataset,
        "version": proposal.version,
        "steps": selectors.recipe_steps(proposal.version.recipe if proposal.version else steps_of(proposal)),
        "stale": selectors.is_stale(proposal),
        "latest": selectors.latest_version(proposal.dataset),
        "waits": waits,
        "own": proposal.proposed_by_id == user.pk,
        "comments": proposal.comments.select_related("author").order_by("pk"),
        "build": proposal.build,
    }


def steps_of(proposal: Proposal) -> list[dict[str, Any]]:
    return proposal.build.steps if proposal.build else []
