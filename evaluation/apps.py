"""Is it better?"""

from typing import Any

from django.apps import AppConfig


def _overview_figures(project: Any) -> Any:
    """Charts and their library are loaded when a page wants them: workers and supervisors start without."""
    from evaluation import pages

    return pages.overview_figures(project)


class EvaluationConfig(AppConfig):
    name = "evaluation"
    label = "evaluation"

    def ready(self) -> None:
        from django.db.models.signals import post_delete

        from evaluation import equating, examining, happenings, lineage, probing, scoring, selectors
        from evaluation.models import Equivalence, Evaluation
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
                working=frozenset({"answers", "retention"}),
            )
        )
        jobs.register(probing.KIND)
        jobs.register(equating.KIND)
        post_delete.connect(equating.forget_answers, sender=Equivalence)
        happenings.register_all()
        contributions.examiners.append(examining.Examiner())
        contributions.needs.append(selectors.needs)
        contributions.lineage.append(lineage.Evaluations())
        contributions.overview_figures.append(_overview_figures)
