"""How a file is to be read, as its sender says it: checked once, whichever door it comes through."""

from typing import Any

from datasets_app.domain import fixes, provenance
from datasets_app.domain.formats import mapping
from datasets_app.domain.formats.base import Format
from datasets_app.models import Dataset, Upload
from projects.domain.errors import Invalid, Refused

FIELDS = ("forced_format", "mapping", "provenance", "hold", "mends")


def read_options(dataset: Dataset, given: dict[str, Any]) -> dict[str, Any]:
    """Fields of an upload. `mends` is the id of an upload of the same dataset, or None."""
    refuse_format(given.get("forced_format") or "")
    return {
        "forced_format": given.get("forced_format") or "",
        "mapping": read_mapping(given.get("mapping") or {}),
        "provenance": read_provenance(given.get("provenance") or {}),
        "hold": bool(given.get("hold")),
        "mends": _mended(dataset, given.get("mends")),
    }


def storable(options: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON."""
    return {**options, "mends": options["mends"].pk if options["mends"] else None}


def refuse_format(name: str) -> None:
    if name and name not in list(Format):
        raise Invalid(f"“{name}” is none of {', '.join(Format)}.", code="format_unknown", field="format")


def read_mapping(given: Any) -> dict[str, Any]:
    """Columns, turns and roles under our names, and the fixes that somebody has agreed to."""
    if not isinstance(given, dict):
        raise Invalid("A mapping is an object with columns, turns and roles.", code="mapping_invalid", field="mapping")
    wanted = given.get("fixes") or []
    try:
        read: dict[str, Any] = dict(mapping.checked({name: part for name, part in given.items() if name != "fixes"}))
    except mapping.BadMapping as bad:
        raise Invalid(str(bad), code="mapping_invalid", field="mapping") from bad
    return {**read, "fixes": read_fixes(wanted)} if wanted else read


def read_fixes(names: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) and name in fixes.FIXES for name in names):
        raise Invalid(f"Fixes are named by {', '.join(fixes.FIXES)}.", code="fix_unknown", field="fixes")
    return [fix.name for fix in fixes.known(names)]


def read_provenance(given: Any) -> dict[str, Any]:
    """What is said once for all rows; a word that is not understood is refused, not dropped."""
    if not isinstance(given, dict):
        raise Invalid("Provenance is an object.", code="provenance_invalid", field="provenance")
    said = {name: value for name, value in given.items() if value not in (None, "")}
    known = {spelling: name for name, spellings in provenance.NAMES.items() for spelling in spellings}
    cleaned = provenance.cleaned(said) or {}
    for spelling in said:
        if known.get(spelling) not in cleaned:
            raise Invalid(
                f"“{str(spelling)[:60]}: {str(said[spelling])[:60]}” is not understood. Say origin (human, production, "
                "file, synthetic), teacher, licence, depth (a number) and contributor.",
                code="provenance_invalid",
                field="provenance",
            )
    return cleaned


def _mended(dataset: Dataset, pk: Any) -> Upload | None:
    if pk in (None, ""):
        return None
    mended = Upload.objects.filter(dataset=dataset, pk=pk, mends=None).first() if str(pk).isdigit() else None
    if mended is None:
        raise Invalid(
            "There is no upload of this dataset with that number to mend.", code="unknown_upload", field="mends"
        )
    refuse_made(mended)
    return mended


def refuse_made(upload: Upload) -> None:
    """Only what is not a version yet can still change."""
    if not upload.is_in_the_making:
        raise Refused(
            "This upload has no version in the making. Upload the rows as a file of their own.",
            code="not_in_the_making",
            field="mends",
        )
