"""How long a decision to live with a finding holds: until there is more of it than was looked at, or it weighs more."""

from datasets_app.domain.findings import Severity

GROWTH = 0.2  # more rows than that, of which nobody has decided anything, bring a finding back
SHORTEST_REASON, LONGEST_REASON = 10, 1000


def holds(*, dismissed: int, as_severity: str, count: int, severity: str) -> bool:
    """Whether a finding that was dismissed with `dismissed` rows stays decided with `count`."""
    weight = [one.value for one in Severity]
    worse = weight.index(severity) < weight.index(as_severity)
    return not worse and count <= dismissed * (1 + GROWTH)
