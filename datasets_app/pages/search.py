"""The page that answers a deletion request: where a text stands, and what was made of it."""

from typing import Any

from datasets_app import selectors
from datasets_app.models import TextSearch
from datasets_app.selectors.search import AFTERWARDS
from projects.models import Project

ROWS_SHOWN = 20


def searches_page(project: Project) -> dict[str, Any]:
    searches = TextSearch.objects.filter(project=project).select_related("searched_by", "project").order_by("-pk")
    return {"searches": searches[:50]}


def search_page(search: TextSearch) -> dict[str, Any]:
    found = selectors.matches(search)
    after = selectors.descendants(search.project, {match.version.pk for match in found}) if found else {}
    newest = [match for match in found if match.newest]
    files, unread = selectors.files_found(search)
    return {
        "files": files,
        "unread": unread,
        "search": search,
        "matches": [{"match": match, "shown": match.first[:ROWS_SHOWN]} for match in found],
        "newest": newest,
        "old": [match for match in found if not match.newest],
        "made": [(title, after[kind]) for kind, title in AFTERWARDS.items() if after.get(kind)],
        "live": [node for node in after.get("deployment", []) if node.state == "live"],
    }
