"""Figures of a version and of a dataset over its versions; each says its message in its title."""

from datasets_app.charts.review import review_days, review_people
from datasets_app.charts.rows import bars, labels, languages, lengths, turns
from datasets_app.charts.versions import Quality, diversity, quality

__all__ = [
    "Quality",
    "bars",
    "diversity",
    "labels",
    "languages",
    "lengths",
    "quality",
    "review_days",
    "review_people",
    "turns",
]
