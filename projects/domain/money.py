"""Money: amounts are Decimal, rounded once, when they are written down."""

from decimal import ROUND_HALF_UP, Decimal

SIX_PLACES = Decimal("0.000001")


def amount(quantity: Decimal, unit_price: Decimal) -> Decimal:
    """Price of a quantity, to a millionth, since one attempt may cost a fraction of a cent."""
    return (quantity * unit_price).quantize(SIX_PLACES, rounding=ROUND_HALF_UP)


def hours(seconds: float) -> Decimal:
    return (Decimal(str(max(seconds, 0.0))) / 3600).quantize(SIX_PLACES, rounding=ROUND_HALF_UP)


def exact(value: Decimal) -> Decimal:
    """A sum as it was meant: SQLite adds in floating point, and a millionth is the finest there is."""
    return Decimal(value).quantize(SIX_PLACES, rounding=ROUND_HALF_UP)


# What a project may keep its books in; a ledger never mixes two of them.
CURRENCIES = (
    "EUR", "USD", "GBP", "CHF", "JPY",
    "AUD", "BRL", "CAD", "CNY", "CZK", "DKK", "INR", "KRW", "NOK", "PLN", "SEK", "SGD",
)  # fmt: skip
