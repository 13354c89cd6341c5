"""Is it better?"""

from django.apps import AppConfig


class EvaluationConfig(AppConfig):
    name = "evaluation"
    label = "evaluation"

    def ready(self) -> None:
        from evaluation import lineage, pages, scoring, selectors
        from evaluation.models import Evaluation
        from projects import contributions, jobs

        jobs.register(
            jobs.JobKind(
                label="evaluation.evaluation",
                model=Evaluation,
                queue="gpu",
                cause="evaluation",
                prepare=scoring.prepare,
                on_event=scoring.note,
                complete=scoring.complete,
            )
        )
        contributions.needs.append(selectors.needs)
        contributions.lineage.append(lineage.contribution)
        contributions.overview_figures.append(pages.overview_figures)
