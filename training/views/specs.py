"""Pages of specs: a run in the words of another tool, and a new run that begins with a spec of one."""

from django.http import HttpRequest, HttpResponse

from projects.domain.errors import Refused
from projects.forms import add_refusal
from training import forms, selectors, services
from training.domain import dialects
from training.views.runs import NewRun, RunPage


class RunSpecPage(RunPage):
    """A run or a draft as a file of another tool; `?as=trl` chooses it, `?download=1` hands the file over."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        run = self.run(pk)
        written = selectors.written(run, request.GET.get("as") or "trl")
        if request.GET.get("download"):
            headers = {"Content-Disposition": f'attachment; filename="{written.file_name}"'}
            return HttpResponse(written.text, content_type="application/yaml; charset=utf-8", headers=headers)
        context = {"run": run, "written": written, "dialects": dialects.DIALECTS.values()}
        return self.render("training/run_spec.html", context)


class SpecImport(NewRun):
    """Reads a spec and shows the new run with what came of it. Nothing is made before somebody says so."""

    service = services.read_spec
    http_method_names = ["get", "post", "options"]

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.page(forms.RunForm(project=self.project, initial=forms.initial_run(self.project)), spec_open=True)

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        spec = forms.SpecForm(request.POST, request.FILES)
        initial = forms.initial_run(self.project)
        understood: selectors.Understood | None = None
        if spec.is_valid():
            try:
                understood = self.service(self.project, by=request.user, **spec.asked)
                if not understood.reading.refused:
                    initial |= forms.from_spec(understood)
            except Refused as refused:
                add_refusal(spec, refused)
        run = forms.RunForm(project=self.project, initial=initial)
        is_read = understood is not None and not understood.reading.refused
        again = forms.SpecForm(initial=spec.asked | {"without": ""}) if understood else spec
        return self.page(
            run, status=200 if is_read else 400, spec_form=again, spec_open=not is_read, understood=understood
        )
