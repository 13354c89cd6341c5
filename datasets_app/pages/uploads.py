"""The page of an upload."""

from typing import Any

from django.core.paginator import Paginator
from django.http import QueryDict

from datasets_app import selectors
from datasets_app.domain.codes import HOPELESS, explain
from datasets_app.models import Upload
from datasets_app.pages.rows import shown_row
from datasets_app.pages.words import BAD_ROWS_A_PAGE, format_name
from projects.domain.formatting import number


def upload_page(upload: Upload, query: QueryDict) -> dict[str, Any]:
    code = query.get("code", "")
    bad = upload.bad_rows.order_by("line", "pk")
    page = Paginator(bad.filter(code=code) if code else bad, BAD_ROWS_A_PAGE).get_page(query.get("page"))
    return {
        "upload": upload,
        "dataset": upload.dataset,
        "format": format_name(upload.detected_format),
        "codes": selectors.bad_codes(upload),
        "code": code,
        "chosen_code": explain(code) if code else None,
        "page": page,
        "error": explain(upload.error_code) if upload.error_code else None,
        "samples": [shown_row(sample) for sample in upload.samples],
        "headline": headline(upload),
        "version_label": f"Open v{upload.version.number}" if upload.version else "",
        "can_reread": upload.error_code not in HOPELESS,
    }


def headline(upload: Upload) -> str:
    good = "1 good row" if upload.rows_good == 1 else f"{number(upload.rows_good)} good rows"
    return f"{good}, {number(upload.rows_bad)} bad" if upload.rows_bad else good
