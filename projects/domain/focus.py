"""Charges in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification. docs/ledger.md has its table.

What the ledger has no word for (regions, commitments, invoices) is left out: those columns are conditional.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from projects.domain import budget
from projects.domain.spreadsheets import safe_cell

PROVIDER = "Luthier"
TAG_PREFIX = "luthier/"
# Ours, as the specification names them: singular first, plural last. (unit, SKU, what it meters)
UNITS = {
    "GPU h": ("GPU-Hours", "gpu-hour", "Accelerator time"),
    "CPU h": ("CPU-Hours", "cpu-hour", "Host time"),
    "h": ("Hours", "person-hour", "People's time"),
}
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost",
    "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags",
    "x_Attempt", "x_Cause", "x_CorrectsLineId", "x_Device", "x_IdleQuantity", "x_LineId", "x_LossCause", "x_Outcome",
    "x_RunId",
)  # fmt: skip
# Written by people: a spreadsheet must not take them for formulas.
FREE_TEXT = (
    "BillingAccountName",
    "ChargeDescription",
    "InvoiceIssuerName",
    "ResourceName",
    "SubAccountName",
    "x_Device",
)


@dataclass(frozen=True)
class Account:
    """Who pays: the organisation, and within it the project."""

    organisation: str
    organisation_id: str
    project: str
    project_id: str


@dataclass(frozen=True)
class Charge:
    """One line of a ledger. A correction has the period of what it corrects, and is billed when it is booked."""

    line: int
    amount: Decimal
    currency: str
    quantity: Decimal
    idle_quantity: Decimal
    unit: str
    unit_price: Decimal
    started_at: datetime
    ended_at: datetime
    billed_at: datetime
    cause: str
    outcome: str
    loss_cause: str
    kind: str
    kind_word: str
    number: int
    label: str
    note: str
    corrects: int | None = None
    device: str = ""
    attempt: int | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)


def row(charge: Charge, account: Account) -> dict[str, str]:
    """Every column; the empty text is null."""
    unit, sku, meter = UNITS.get(
        charge.unit, (charge.unit.capitalize() or "Units", charge.unit or "unit", charge.cause)
    )
    cells = (
        _when(charge)
        | _money(charge)
        | _measured(charge, unit)
        | {
            "BillingAccountId": account.organisation_id,
            "BillingAccountName": account.organisation,
            "InvoiceIssuerName": account.organisation,
            "SubAccountId": account.project_id,
            "SubAccountName": account.project,
            "ProviderName": PROVIDER,
            "PublisherName": PROVIDER,
            "ChargeDescription": _description(charge),
            "ResourceId": f"{account.project_id}/{charge.kind}:{charge.number}",
            "ResourceName": charge.label,
            "ResourceType": charge.kind_word,
            "ServiceCategory": "AI and Machine Learning",
            "ServiceSubcategory": "Machine Learning",
            "ServiceName": f"{PROVIDER} {charge.cause.capitalize()}",
            "SkuId": sku,
            "SkuMeter": meter,
            "SkuPriceId": sku,
            "Tags": json.dumps(_tags(charge), sort_keys=True),
        }
        | _ours(charge)
    )
    return {name: safe_cell(cells[name]) if name in FREE_TEXT else cells[name] for name in COLUMNS}


def number(value: Decimal) -> str:
    """Digits, at most one point, and a minus where there is one: no exponent, no thousands."""
    return f"{value:f}"


def moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _when(charge: Charge) -> dict[str, str]:
    """Starts count in, ends do not: an end is the first whole second after the work."""
    month = budget.month_of(charge.billed_at)
    start = charge.started_at.replace(microsecond=0)
    seconds = max(1, math.ceil((charge.ended_at - start).total_seconds()))
    return {
        "BillingPeriodStart": moment(month),
        "BillingPeriodEnd": moment(budget.next_month(month)),
        "ChargePeriodStart": moment(start),
        "ChargePeriodEnd": moment(start + timedelta(seconds=seconds)),
    }


def _money(charge: Charge) -> dict[str, str]:
    """Nothing is discounted or paid in advance, so the four costs are one."""
    amount = number(charge.amount)
    return {
        "BilledCost": amount,
        "EffectiveCost": amount,
        "ListCost": amount,
        "ContractedCost": amount,
        "BillingCurrency": charge.currency,
    }


def _measured(charge: Charge, unit: str) -> dict[str, str]:
    """Quantities and prices. A correction changes money alone: it has neither.

    The specification calls it a Correction only when the month that it changes is closed; within a month it is an
    adjustment.
    """
    if charge.corrects is None:
        quantity, price = number(charge.quantity), number(charge.unit_price)
        kind = {"ChargeCategory": "Usage", "ChargeClass": "", "ChargeFrequency": "Usage-Based"}
        consumed = {"ConsumedQuantity": quantity, "ConsumedUnit": unit}
        return kind | consumed | {
            "PricingCategory": "Standard",
            "PricingQuantity": quantity,
            "PricingUnit": unit,
            "ListUnitPrice": price,
            "ContractedUnitPrice": price,
        }  # fmt: skip
    closed = budget.month_of(charge.ended_at) < budget.month_of(charge.billed_at)
    nothing = ("ConsumedQuantity", "ConsumedUnit", "PricingCategory", "PricingQuantity", "PricingUnit")
    return {
        "ChargeCategory": "Usage" if closed else "Adjustment",
        "ChargeClass": "Correction" if closed else "",
        "ChargeFrequency": "One-Time",
        "ListUnitPrice": "",
        "ContractedUnitPrice": "",
    } | dict.fromkeys(nothing, "")


def _description(charge: Charge) -> str:
    if charge.corrects is not None:
        return f"Correction of line {charge.corrects}: {charge.note}"
    return " ".join(part for part in (f"{charge.label}: {charge.outcome}.", charge.note) if part)


def _tags(charge: Charge) -> dict[str, Any]:
    """Flat, ours marked by their prefix, and nothing without a value."""
    said = {
        "cause": charge.cause,
        "outcome": charge.outcome,
        "loss_cause": charge.loss_cause,
        "subject": f"{charge.kind}:{charge.number}",
        "run": charge.number if charge.kind == "training.run" else None,
        "corrects": charge.corrects,
    } | dict(charge.tags)
    return {f"{TAG_PREFIX}{name}": value for name, value in said.items() if value not in ("", None)}


def _ours(charge: Charge) -> dict[str, str]:
    return {
        "x_Attempt": _text(charge.attempt),
        "x_Cause": charge.cause,
        "x_CorrectsLineId": _text(charge.corrects),
        "x_Device": charge.device,
        "x_IdleQuantity": number(charge.idle_quantity) if charge.corrects is None else "",
        "x_LineId": str(charge.line),
        "x_LossCause": charge.loss_cause,
        "x_Outcome": charge.outcome,
        "x_RunId": str(charge.number) if charge.kind == "training.run" else "",
    }


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
