"""Pages of datasets: the list, a new one, one with its verdict, and its end."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect

from datasets_app import pages, selectors, services
from datasets_app.forms import DatasetForm, UploadOptionsForm
from datasets_app.models import Dataset
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.pages import ProjectPage


class DatasetList(ProjectPage):
    room = "datasets"

    def get(self, request, project):
        context = {
            "storage": selectors.storage_of(self.project),
            "unfinished": selectors.unfinished(self.project, request.user),
        }
        listed = pages.list_page(self.project, request.GET.get("purpose", ""))
        return self.render("datasets/dataset_list.html", context | listed)


class DatasetCreate(ProjectPage):
    room = "datasets"
    permission = Permission.DATASET_EDIT
    service = services.create_dataset

    def get(self, request, project):
        form = DatasetForm(initial={"purpose": request.GET.get("purpose", "training")})
        return self.render("datasets/dataset_create.html", {"form": form})

    def post(self, request, project):
        form = DatasetForm(request.POST)
        if form.is_valid():
            try:
                return redirect(self.service(self.project, by=request.user, **form.cleaned_data))
            except Invalid as invalid:
                form.add_error(invalid.field, invalid.message)
        return self.render("datasets/dataset_create.html", {"form": form}, status=400)


class DatasetDetail(ProjectPage):
    room = "datasets"

    def get(self, request, project, pk):
        dataset = get_object_or_404(Dataset, project=self.project, pk=pk)
        template = "datasets/_dataset_work.html" if request.htmx else "datasets/dataset_detail.html"
        unfinished = selectors.unfinished(self.project, request.user, dataset)
        context = {"options": UploadOptionsForm(), "unfinished": unfinished, **pages.dataset_page(dataset)}
        return self.render(template, context)


class DatasetDelete(ProjectPage):
    room = "datasets"
    permission = Permission.DATASET_DELETE
    service = services.delete_dataset

    def post(self, request, project, pk):
        dataset = get_object_or_404(Dataset, project=self.project, pk=pk)
        self.service(dataset, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, f"“{dataset.name}” and its versions are deleted.")
        return redirect("dataset-list", self.project.slug)
