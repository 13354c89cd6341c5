"""Pages of recipes: the builder, its preview, recipes under a name, going back to an old version."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from datasets_app import pages, services
from datasets_app.models import DatasetVersion, Preview, SavedRecipe
from datasets_app.pages.drafts import Draft
from datasets_app.views.versions import VersionPage
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.pages import ProjectPage

MADE = "The new version is being made. This page shows it when it is there."
PROPOSED = "The change is being made. It is proposed to a second person when it is there."


class RecipeBuilder(VersionPage):
    """Every button of the form comes here: "add:dedupe", "up:1", "preview", "save", "make"."""

    permission = Permission.DATASET_EDIT
    service = services.clean_version

    def get(self, request, project, pk):
        version = self.version(pk)
        draft = pages.first_draft(version, request.GET)
        return self.render("datasets/recipe_builder.html", pages.builder_page(version, draft))

    def post(self, request, project, pk):
        version, do = self.version(pk), request.POST.get("do", "")
        draft = Draft.of_post(request.POST)
        answers = {"preview": self.preview, "save": self.save, "make": self.make}
        try:
            return answers.get(do, self.edit)(version, draft)
        except Refused as refused:
            return self.again(version, draft, refusal=refused.message)

    def edit(self, version: DatasetVersion, draft: Draft):
        do = self.request.POST.get("do", "")
        draft.changed(f"add:{self.request.POST.get('added', '')}" if do == "add" else do)
        return self.again(version, draft)

    def preview(self, version: DatasetVersion, draft: Draft):
        preview = services.preview_recipe(version, by=self.request.user, steps=draft.as_steps())
        preview.refresh_from_db()
        return self.again(version, draft, **pages.preview_page(preview))

    def save(self, version: DatasetVersion, draft: Draft):
        name = self.request.POST.get("recipe_name", "")
        recipe = services.save_recipe(self.project, by=self.request.user, name=name, steps=draft.as_steps())
        return self.again(version, draft, saved_now=recipe)

    def make(self, version: DatasetVersion, draft: Draft):
        said = {name: self.request.POST.get(name, "") for name in ("title", "reason")}
        build = self.service(version, by=self.request.user, steps=draft.as_steps(), **said)
        messages.info(self.request, PROPOSED if hasattr(build, "proposal") else MADE)
        answer = redirect(build)
        if getattr(self.request, "htmx", False):
            answer.status_code, answer["HX-Redirect"] = 200, build.get_absolute_url()
        return answer

    def again(self, version: DatasetVersion, draft: Draft, /, **more):
        whole = not getattr(self.request, "htmx", False)
        template = "datasets/recipe_builder.html" if whole else "datasets/_recipe_form.html"
        return self.render(template, pages.builder_page(version, draft) | more)


class RecipePreview(ProjectPage):
    """What a recipe would do; asked again until the child has answered."""

    room = "datasets"

    def get(self, request, project, pk):
        previews = Preview.objects.select_related("source__dataset__project")
        preview = get_object_or_404(previews, project=self.project, pk=pk)
        template = "datasets/_recipe_preview.html" if request.htmx else "datasets/recipe_preview.html"
        return self.render(template, pages.preview_page(preview))


class RecipeList(ProjectPage):
    room = "datasets"

    def get(self, request, project):
        return self.render("datasets/recipe_list.html", pages.recipes_page(self.project))


class RecipeApply(ProjectPage):
    """From a form with a recipe (or the version it made) and a version, on to the builder."""

    room = "datasets"
    permission = Permission.DATASET_EDIT

    def get(self, request, project):
        version = get_object_or_404(
            DatasetVersion, dataset__project=self.project, pk=pages.number_of(request.GET, "version")
        )
        name = "recipe" if pages.number_of(request.GET, "recipe") else "like"
        address = reverse("recipe-builder", args=[self.project.slug, version.pk])
        return redirect(f"{address}?{name}={pages.number_of(request.GET, name)}")


class RecipeDelete(ProjectPage):
    room = "datasets"
    service = services.delete_recipe

    def post(self, request, project, pk):
        self.service(get_object_or_404(SavedRecipe, project=self.project, pk=pk), by=request.user)
        messages.info(request, "The recipe is deleted. Versions it has made keep their steps.")
        return redirect("recipe-list", self.project.slug)


class VersionRestore(VersionPage):
    service = services.restore_version

    def post(self, request, project, pk):
        build = self.service(self.version(pk), by=request.user, reason=request.POST.get("reason", ""))
        messages.info(request, PROPOSED if hasattr(build, "proposal") else MADE)
        return redirect(build)


class VersionCompare(VersionPage):
    """Compare with golden sets again, after that has failed."""

    service = services.compare_version

    def post(self, request, project, pk):
        version = self.service(self.version(pk), by=request.user)
        messages.info(request, "The version is being compared with the golden sets.")
        return redirect(version)
