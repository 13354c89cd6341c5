"""What is trained on, how it came in, what is wrong with it and who said so."""

from datasets_app.models.builds import Build, Preview, Proposal, ProposalComment, SavedRecipe, VersionDiff
from datasets_app.models.findings import Comparison, Dismissal, Finding, Overlap, Shared, TextSearch
from datasets_app.models.review import ReviewDecision, ReviewItem, ReviewRound, ReviewRuling
from datasets_app.models.uploads import BadRow, Incoming, Part, Upload
from datasets_app.models.versions import KINDS, PURPOSES, Dataset, DatasetVersion, ReleasedVersions, Stage

__all__ = [
    "KINDS",
    "PURPOSES",
    "BadRow",
    "Build",
    "Comparison",
    "Dataset",
    "DatasetVersion",
    "Dismissal",
    "Finding",
    "Incoming",
    "Overlap",
    "Part",
    "Preview",
    "Proposal",
    "ProposalComment",
    "ReleasedVersions",
    "ReviewDecision",
    "ReviewItem",
    "ReviewRound",
    "ReviewRuling",
    "SavedRecipe",
    "Shared",
    "Stage",
    "TextSearch",
    "Upload",
    "VersionDiff",
]
