"""Pages of proposed changes."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect

from datasets_app import pages, services
from datasets_app.models import Proposal
from projects.pages import ProjectPage


class ProposalList(ProjectPage):
    room = "datasets"

    def get(self, request, project):
        return self.render("datasets/proposal_list.html", pages.proposals_page(self.project, request.GET))


class ProposalPage(ProjectPage):
    """What the pages of one proposal share."""

    room = "datasets"

    def proposal(self, pk) -> Proposal:
        proposals = Proposal.objects.select_related(
            "dataset__project",
            "version__dataset__project",
            "base__dataset__project",
            "proposed_by",
            "decided_by",
            "build",
        )
        return get_object_or_404(proposals, project=self.project, pk=pk)


class ProposalDetail(ProposalPage):
    def get(self, request, project, pk):
        context = pages.proposal_page(self.proposal(pk), request.user, request.GET)
        return self.render("datasets/_diff.html" if request.htmx else "datasets/proposal.html", context)


class ProposalMerge(ProposalPage):
    service = services.merge_proposal

    def post(self, request, project, pk):
        proposal = self.service(self.proposal(pk), by=request.user, reason=request.POST.get("reason", ""))
        messages.success(request, f"Merged. {proposal.version} is released and can be used.")
        return redirect(proposal)


class ProposalClose(ProposalPage):
    service = services.close_proposal

    def post(self, request, project, pk):
        proposal = self.service(self.proposal(pk), by=request.user, reason=request.POST.get("reason", ""))
        messages.info(request, "The change is closed. Nothing of it is used.")
        return redirect(proposal)


class ProposalUpdate(ProposalPage):
    service = services.update_proposal

    def post(self, request, project, pk):
        messages.info(request, "The change is being carried out anew on the newest version.")
        return redirect(self.service(self.proposal(pk), by=request.user))


class ProposalCommented(ProposalPage):
    service = services.comment_proposal

    def post(self, request, project, pk):
        proposal = self.proposal(pk)
        self.service(proposal, by=request.user, text=request.POST.get("text", ""))
        return redirect(f"{proposal.get_absolute_url()}#comments")
