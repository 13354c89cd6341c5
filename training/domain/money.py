"""What a run may cost at most, as its projection tells."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def p90(projection: Mapping[str, Any]) -> Decimal | None:
    """The P90 of the cost; None when nobody can tell."""
    told = (projection.get("money") or {}).get("p90")
    return None if told is None else Decimal(str(told))
