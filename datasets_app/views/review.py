"""Pages of reviews: their list, a new one, its progress, the queue, rows in dispute, its end."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from datasets_app.models import DatasetVersion, ReviewItem, ReviewRound
from datasets_app.pages import review as queue_pages
from datasets_app.pages import review_round as round_pages
from datasets_app.pages.review_forms import AssignForm, RoundForm, RulingForm
from datasets_app.selectors import review as reads
from datasets_app.services import review as queue
from datasets_app.services import review_rounds
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.forms import add_refusal
from projects.pages import ProjectPage


class ReviewPage(ProjectPage):
    """What the pages of one round share."""

    room = "datasets"

    def review(self, pk: int) -> ReviewRound:
        return get_object_or_404(reads.rounds(self.project), pk=pk)

    def version(self, pk: int) -> DatasetVersion:
        versions = DatasetVersion.objects.select_related("dataset__project")
        return get_object_or_404(versions, dataset__project=self.project, pk=pk)


class ReviewList(ReviewPage):
    """All reviews of the project."""

    def get(self, request, project):
        return self.render("datasets/review_list.html", queue_pages.list_page(self.project, request.user, None))


class VersionReviews(ReviewPage):
    """The reviews of one version."""

    def get(self, request, project, pk):
        context = queue_pages.list_page(self.project, request.user, self.version(pk))
        return self.render("datasets/review_list.html", context)


class ReviewCreate(ReviewPage):
    permission = Permission.DATASET_EDIT
    service = review_rounds.open_round

    def get(self, request, project, pk):
        version = self.version(pk)
        chosen = f"finding:{request.GET['finding']}" if "finding" in request.GET else ""
        return self.form(version, RoundForm(version=version, chosen=chosen))

    def post(self, request, project, pk):
        version = self.version(pk)
        form = RoundForm(request.POST, version=version)
        if form.is_valid():
            try:
                return redirect(self.service(version, by=request.user, **form.opening()))
            except Invalid as invalid:
                add_refusal(form, invalid)
        return self.form(version, form, status=400)

    def form(self, version: DatasetVersion, form: RoundForm, status: int = 200) -> HttpResponse:
        context = {"version": version, "dataset": version.dataset, "form": form}
        return self.render("datasets/review_create.html", context, status=status)


class ReviewDetail(ReviewPage):
    def get(self, request, project, pk):
        review = self.review(pk)
        if request.htmx:
            return self.render("datasets/_review_outcome.html", round_pages.round_page(review, request.user))
        form = AssignForm(project=self.project, initial={"people": review.people})
        return self.render(
            "datasets/review_detail.html", {"form": form, **round_pages.round_page(review, request.user)}
        )


class ReviewQueue(ReviewPage):
    """One row at a time."""

    permission = Permission.DATASET_REVIEW

    def get(self, request, project, pk):
        review = self.review(pk)
        if not review.is_open:
            return redirect(review)
        return self.render("datasets/review_queue.html", queue_pages.queue_page(review, request.user))


class ReviewTake(ReviewPage):
    """The next rows as fragments, held for whoever asked."""

    service = queue.take_items

    def post(self, request, project, pk):
        review = self.review(pk)
        items = self.service(review, by=request.user, **wanted(request))
        pending = numbers(request, "pending")
        return self.render("datasets/_review_items.html", queue_pages.items_page(review, request.user, items, pending))


def wanted(request: HttpRequest) -> dict:
    """How many items the page asks for, and which it has."""
    number = request.POST.get("number", "4")
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:3]) <= 10):
        raise Invalid("Between 1 and 10 rows are given at once.", code="bad_number", field="number")
    return {"number": int(number), "having": numbers(request, "having"), "skipped": "skipped" in request.POST}


def numbers(request: HttpRequest, name: str) -> list[int]:
    """Items by their numbers, with commas between."""
    keys = [key for key in request.POST.get(name, "").split(",") if key]
    if len(keys) > 500 or not all(key.isascii() and key.isdigit() and len(key) < 19 for key in keys):
        raise Invalid("Items are named by their numbers, at most 500 of them.", code="bad_items", field=name)
    return [int(key) for key in keys]


class ReviewAssign(ReviewPage):
    service = review_rounds.assign_round

    def post(self, request, project, pk):
        form = AssignForm(request.POST, project=self.project)
        if not form.is_valid():
            raise Invalid("Rows can only be given to members who may review data.", field="people")
        review = self.service(self.review(pk), by=request.user, people=list(form.cleaned_data["people"]))
        messages.success(request, "The rows that wait are dealt out anew.")
        return redirect(review)


class ReviewDisputes(ReviewPage):
    """Rows about which people disagree, and the last word on each."""

    permission = Permission.DATASET_EDIT

    def get(self, request, project, pk):
        page = request.GET.get("page", "1")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
        return self.render("datasets/review_disputes.html", round_pages.disputes_page(self.review(pk), number))


class ReviewRule(ReviewPage):
    service = review_rounds.rule_on

    def post(self, request, project, pk, item):
        review = self.review(pk)
        found = get_object_or_404(ReviewItem.objects.select_related("round__project"), round=review, pk=item)
        form = RulingForm(request.POST)
        if not form.is_valid():
            raise Invalid("Choose one of the verdicts, or give your own.", field="verdict")
        self.service(found, by=request.user, **ruling(found, form.cleaned_data))
        messages.success(request, f"Row {found.row} is settled.")
        return redirect("review-disputes", self.project.slug, review.pk)


def ruling(item: ReviewItem, said: dict) -> dict[str, str]:
    """The verdict of one of the people as it stands, or one's own."""
    if said["decision"] is None:
        return {name: said[name] for name in ("verdict", "answer", "reason")}
    chosen = get_object_or_404(item.decisions.all(), pk=said["decision"])
    return {"verdict": chosen.verdict, "answer": chosen.answer, "reason": chosen.reason}


class ReviewClose(ReviewPage):
    service = review_rounds.close_round

    def post(self, request, project, pk):
        return redirect(self.service(self.review(pk), by=request.user))


class ReviewReopen(ReviewPage):
    service = review_rounds.reopen_round

    def post(self, request, project, pk):
        return redirect(self.service(self.review(pk), by=request.user))


class ReviewDiscard(ReviewPage):
    service = review_rounds.discard_round

    def post(self, request, project, pk):
        review = self.review(pk)
        self.service(review, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, f"“{review}” is thrown away. The version is as it was; the time stays in the costs.")
        return redirect("version-reviews", self.project.slug, review.version_id)
