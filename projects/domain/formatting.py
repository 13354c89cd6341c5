"""How numbers, times, sizes and money are written for people, the same on pages and in figures."""

from datetime import datetime, timedelta
from decimal import Decimal

NARROW = "\u202f"  # narrow no-break space: between a number and its unit, and between thousands
MINUS = "\u2212"
NOTHING = "–"
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "CHF": "CHF" + NARROW}

Number = int | float | Decimal

MINUTE, HOUR, DAY = 60, 3600, 86_400
SPANS = ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s"))  # a unit and the next smaller
RECENT = timedelta(days=30)
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CENT, HUNDREDTH_CENT = Decimal("0.01"), Decimal("0.0001")

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
TIMES = ("never", "once", "twice", "three times")


def ordinal(value: int) -> str:
    """third; beyond ten 11th, 22nd"""
    if 1 <= value <= len(ORDINALS):
        return ORDINALS[value - 1]
    ending = "th" if value % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def times(count: int) -> str:
    """twice; beyond three 7 times"""
    return TIMES[count] if count < len(TIMES) else f"{count} times"


def signed(text: str) -> str:
    """A true minus sign instead of a hyphen."""
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def number(value: Number, decimals: int = 0) -> str:
    """Thousands apart by a narrow space: 1 234 567.8"""
    return signed(f"{value:,.{decimals}f}".replace(",", NARROW))


def money(value: Number, currency: str = "EUR") -> str:
    """€1 234.50; amounts under a cent keep two significant digits, so that small runs do not look free."""
    amount = Decimal(value)
    size = abs(amount)
    shown = number(size, 2)
    if 0 < size < CENT:
        shown = f"{size:.2g}" if size >= HUNDREDTH_CENT else f"{size:.1e}".replace("e-0", "e-")
    symbol = SYMBOLS.get(currency, currency + NARROW)
    return f"{MINUS if amount < 0 else ''}{symbol}{shown}"


def duration(seconds: Number | timedelta) -> str:
    """2 h 14 min: the two largest units; fractions only under ten seconds."""
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if total < 0:
        return MINUS + duration(-total)
    if total < 9.95:
        return f"{total:.1f}{NARROW}s"
    whole = round(total)
    for size, unit, smaller, below in SPANS:
        if whole >= size:
            count, rest = whole // size, whole % size // smaller
            return f"{count}{NARROW}{unit} {rest}{NARROW}{below}" if rest else f"{count}{NARROW}{unit}"
    return f"{whole}{NARROW}s"


def relative(moment: datetime, now: datetime) -> str:
    """3 min ago, in 2 h; beyond a month the date itself."""
    gap = now - moment
    if abs(gap) > RECENT:
        return f"{moment.day} {MONTHS[moment.month]} {moment.year}"
    seconds = abs(gap.total_seconds())
    if seconds < 45:
        return "just now"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size or unit == "min":
            count = max(1, round(seconds / size))
            span = f"{count}{NARROW}{unit}"
            return f"{span} ago" if gap.total_seconds() > 0 else f"in {span}"
    raise AssertionError("minutes take whatever is left")


def exact(moment: datetime) -> str:
    """22 Nov 2026, 14:05:09 UTC"""
    day, zone = f"{moment.day} {MONTHS[moment.month]} {moment.year}", moment.tzname() or ""
    return f"{day}, {moment.hour:02}:{moment.minute:02}:{moment.second:02} {zone}".rstrip()


def sig3(value: Number) -> str:
    """Three significant digits; whole numbers stay whole; the very small are written 2.5e-5."""
    if isinstance(value, int):
        return number(value)
    measure = float(value)
    if abs(measure) < 1000:
        measure = float(f"{measure:.3g}")  # first, since rounding may add a digit before the point
    size = abs(measure)
    if size == 0:
        return "0"
    if size < 0.001:
        mantissa, exponent = f"{measure:.2e}".split("e")
        return signed(f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}")
    whole = len(str(int(size))) if size >= 1 else 0
    leading = 0 if size >= 0.1 else 1 if size >= 0.01 else 2
    return number(measure, max(0, 3 - whole + leading))


def percent(share: Number, decimals: int = 1) -> str:
    """0.123 -> 12.3 %"""
    return f"{number(share * 100, decimals)}{NARROW}%"


def points(difference: Number, decimals: int = 1) -> str:
    """0.123 -> +12.3 pp: the difference of two shares, in percentage points, always with its sign."""
    shown = number(difference * 100, decimals)
    plus = "+" if difference > 0 and shown.strip("0.") else ""
    return f"{plus}{shown}{NARROW}pp"


def size(count: Number) -> str:
    """1 400 000 -> 1.40 MB (decimal units, as drives and browsers count)."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(amount) < 999.5 or unit == "TB":
            shown = number(amount) if unit == "B" else sig3(amount)
            return f"{shown}{NARROW}{unit}"
        amount /= 1000
    raise AssertionError("terabytes take whatever is left")


def short_hash(value: str) -> str:
    """The first eight characters, without an algorithm prefix."""
    return value.rpartition(":")[2][:8]


def initials(name: str) -> str:
    """Two letters for an avatar: first and last word of a name, or of the part of an address before the @."""
    words = name.partition("@")[0].replace(".", " ").replace("_", " ").split()
    picked = [words[0], words[-1]] if len(words) > 1 else words[:1]
    return "".join(word[0] for word in picked).upper() or "?"
