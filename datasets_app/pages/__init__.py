"""What the pages of this app show, put together from reads, words and figures."""

from datasets_app.pages.datasets import dataset_page, list_page
from datasets_app.pages.details import detail_lines, detail_tables, kinds_of
from datasets_app.pages.diff import diff_page
from datasets_app.pages.exports import export_page
from datasets_app.pages.finding import finding_page, found_lines, places_in
from datasets_app.pages.findings import facts, figures, judged
from datasets_app.pages.mapping import mapping_rows, preview
from datasets_app.pages.origins import origins_card
from datasets_app.pages.proposals import proposal_page, proposals_page
from datasets_app.pages.recipes import builder_page, first_draft, number_of, preview_page, recipes_page
from datasets_app.pages.rows import row_page, rows_page, shown_row
from datasets_app.pages.search import search_page, searches_page
from datasets_app.pages.tabs import version_tabs
from datasets_app.pages.uploads import headline, upload_page
from datasets_app.pages.versions import recipe_lines, version_page, version_rows_page
from datasets_app.pages.words import BAD_ROWS_A_PAGE, COUNTABLE, ROWS_A_PAGE, format_name, rows_in_words

__all__ = [
    "BAD_ROWS_A_PAGE",
    "COUNTABLE",
    "ROWS_A_PAGE",
    "builder_page",
    "dataset_page",
    "detail_lines",
    "detail_tables",
    "diff_page",
    "export_page",
    "facts",
    "figures",
    "finding_page",
    "first_draft",
    "format_name",
    "found_lines",
    "headline",
    "judged",
    "kinds_of",
    "list_page",
    "mapping_rows",
    "number_of",
    "origins_card",
    "places_in",
    "preview",
    "preview_page",
    "proposal_page",
    "proposals_page",
    "recipe_lines",
    "recipes_page",
    "row_page",
    "rows_in_words",
    "rows_page",
    "search_page",
    "searches_page",
    "shown_row",
    "upload_page",
    "version_page",
    "version_rows_page",
    "version_tabs",
]
