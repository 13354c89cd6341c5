"""The page of an upload."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from datasets_app import selectors
from datasets_app.domain.codes import HOPELESS, explain
from datasets_app.domain.fixes import FIXES
from datasets_app.models import Build, Upload
from datasets_app.pages.mapping import mapping_rows
from datasets_app.pages.rows import shown_row
from datasets_app.pages.words import BAD_ROWS_A_PAGE, format_name
from datasets_app.selectors import Making, Offer
from projects.domain.formatting import number
from projects.domain.states import JobState

EXCERPT = 1500  # characters of a row before and after a fix


def upload_page(upload: Upload, query: QueryDict) -> dict[str, Any]:
    code = query.get("code", "")
    bad = upload.bad_rows.order_by("line", "pk")
    page = Paginator(bad.filter(code=code) if code else bad, BAD_ROWS_A_PAGE).get_page(query.get("page"))
    making, assembly = selectors.making(upload), selectors.assembly(upload)
    return {
        "upload": upload,
        "dataset": upload.dataset,
        "format": format_name(upload.detected_format),
        "codes": selectors.bad_codes(upload),
        "code": code,
        "chosen_code": explain(code) if code else None,
        "page": page,
        "told_less": not code and page.paginator.count < sum(upload.bad_codes.values()),
        "samples": [shown_row(sample) for sample in upload.samples],
        "headline": headline(upload),
        "assembly": assembly,
        "version_label": version_label(upload, assembly),
        "can_forget": upload.is_over and not upload.forgotten_at and not making,
        "can_reread": not upload.forgotten_at
        and upload.error_code not in HOPELESS
        and not (upload.mends_id and upload.mapping.get("fixes")),
        "mapping": mapping_rows(upload),
        "poll": poll(upload, making, assembly),
        **retry(upload),
        **(making_page(upload, making) if making else {}),
        **({"offers": shown_offers(upload)} if selectors.is_mendable(upload) else {}),
    }


def making_page(upload: Upload, making: Making) -> dict[str, Any]:
    last = upload.menders.order_by("-pk").first()
    return {
        "making": {**vars(making), "failed": last if last and last.state == JobState.FAILED else None},
        "offers": shown_offers(upload) if making.left else [],
        "mends_field": {"mends": upload.pk},
        "max_bytes": settings.MAX_UPLOAD_BYTES,
    }


def shown_offers(upload: Upload) -> list[dict[str, Any]]:
    return [shown_offer(offer) for offer in selectors.offers(upload)]


def shown_offer(offer: Offer) -> dict[str, Any]:
    examples = [
        {**vars(one), "before_shown": excerpt(one.before, one.after), "after_shown": excerpt(one.after, one.before)}
        for one in offer.examples
    ]
    return {"fix": offer.fix, "count": offer.count, "examples": examples}


def excerpt(text: str, other: str) -> str:
    """The text around the first place where the two differ, fit to be shown."""
    same = next((n for n, signs in enumerate(zip(text, other, strict=False)) if signs[0] != signs[1]), 0)
    start = max(0, same - EXCERPT // 3)
    piece = text[start : start + EXCERPT]
    shown = ("…" if start else "") + piece + ("…" if start + EXCERPT < len(text) else "")
    return shown.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\0")


def poll(upload: Upload, making: Making | None, assembly: Build | None) -> str:
    """How often the page asks for news: often at first, seldom later, not at all when it is over."""
    is_working = not upload.is_over or bool(making and making.active) or bool(assembly and assembly.is_active)
    if not is_working:
        return ""
    age = timezone.now() - upload.created_at
    return "300ms" if age < timedelta(seconds=15) else "1s" if age < timedelta(minutes=2) else "3s"


def retry(upload: Upload) -> dict[str, str]:
    """Where to go on from a refused file."""
    if upload.mends is not None:
        return {"retry_url": upload.mends.get_absolute_url() + "#making", "retry_label": "Back to the version"}
    url = reverse("dataset-detail", args=[upload.project.slug, upload.dataset_id])
    return {"retry_url": url + "#bring", "retry_label": "Upload another file"}


def headline(upload: Upload) -> str:
    names = [FIXES[name].title for name in upload.mapping.get("fixes", []) if name in FIXES]
    good = "1 good row" if upload.rows_good == 1 else f"{number(upload.rows_good)} good rows"
    counted = f"{good}, {number(upload.rows_bad)} bad" if upload.rows_bad else good
    return f"{', '.join(names)}: {counted}" if names else counted


def version_label(upload: Upload, assembly: Build | None) -> str:
    version = upload.version or (assembly.version if assembly else None)
    return f"Open v{version.number}" if version else ""
