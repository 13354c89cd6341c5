"""Names people give to files, made fit to be stored and shown."""

import unicodedata

LONGEST = 255


def display_name(name: str) -> str:
    """NFC, without path, control and direction marks, at most 255 characters with the ending kept."""
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")).strip()
    if clean.strip(".") == "":
        return "unnamed"
    if len(clean) <= LONGEST:
        return clean
    stem, dot, ending = clean.rpartition(".")
    if not dot or len(ending) > 20:
        return clean[: LONGEST - 1] + "…"
    return stem[: LONGEST - len(ending) - 2] + "…." + ending
