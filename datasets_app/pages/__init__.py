"""What the pages of this app show, put together from reads, words and figures."""

from datasets_app.pages.datasets import dataset_page, list_page
from datasets_app.pages.findings import DETAILS, detail_lines, facts, figures, judged
from datasets_app.pages.rows import row_page, rows_page, shown_row
from datasets_app.pages.uploads import headline, upload_page
from datasets_app.pages.versions import recipe_lines, version_page
from datasets_app.pages.words import BAD_ROWS_A_PAGE, COUNTABLE, ROWS_A_PAGE, format_name, rows_in_words

__all__ = [
    "BAD_ROWS_A_PAGE",
    "COUNTABLE",
    "DETAILS",
    "ROWS_A_PAGE",
    "dataset_page",
    "detail_lines",
    "facts",
    "figures",
    "format_name",
    "headline",
    "judged",
    "list_page",
    "recipe_lines",
    "row_page",
    "rows_in_words",
    "rows_page",
    "shown_row",
    "upload_page",
    "version_page",
]
