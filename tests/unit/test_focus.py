"""Charges in FOCUS columns, held against the specification's table as docs/ledger.md keeps it."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from projects.domain import focus
from projects.domain.focus import Account, Charge

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "ledger.md").read_text()
# The mandatory columns of FOCUS 1.2; the table in the documentation must not lose one.
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
}  # fmt: skip
DECIMAL = re.compile(r"-?\d+(\.\d+)?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ACCOUNT = Account("Example Org", "example-org", "Routing", "routing")
NOVEMBER = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
USAGE = Charge(
    line=7,
    amount=Decimal("8.750000"),
    currency="EUR",
    quantity=Decimal("2.500000"),
    idle_quantity=Decimal("0.250000"),
    unit="GPU h",
    unit_price=Decimal("3.5000"),
    started_at=NOVEMBER - timedelta(hours=2, minutes=30),
    ended_at=NOVEMBER,
    billed_at=NOVEMBER,
    cause="training",
    outcome="failed",
    loss_cause="memory",
    kind="training.run",
    kind_word="Run",
    number=3,
    label="router v3",
    note="oom",
    device="H200",
    attempt=2,
)
CORRECTION = replace(
    USAGE,
    line=9,
    amount=Decimal("-1.25"),
    quantity=Decimal(0),
    idle_quantity=Decimal(0),
    corrects=7,
    note="Wrong clock.",
)
CASES = {
    "usage": USAGE,
    "a success": replace(USAGE, outcome="succeeded", loss_cause="", note=""),
    "people": replace(USAGE, unit="h", kind="datasets.reviewround", device="", attempt=None, cause="people"),
    "free": replace(USAGE, amount=Decimal(0), unit_price=Decimal(0)),
    "a moment": replace(USAGE, started_at=NOVEMBER, quantity=Decimal(0), idle_quantity=Decimal(0), amount=Decimal(0)),
    "an odd unit": replace(USAGE, unit="TB"),
    "a correction in its month": CORRECTION,
    "a correction of a closed month": replace(CORRECTION, billed_at=NOVEMBER + timedelta(days=20)),
    "a name that is a formula": replace(USAGE, label="=1+1"),
}  # fmt: skip


def table() -> dict[str, dict[str, str]]:
    """The columns as the documentation lists them."""
    lines = [line for line in DOCS.splitlines() if line.startswith("| ")]
    start = lines.index("| Column | Level | Type | Nulls | Values |")
    found = {}
    for line in lines[start + 1 :]:
        name, level, kind, nulls, values = (cell.strip() for cell in line.strip("|").split("|"))
        found[name] = {"level": level, "type": kind, "nulls": nulls, "values": values}
    return found


SPEC = table()


FORMS = {"Decimal": DECIMAL, "Integer": re.compile(r"\d+"), "Date/Time": MOMENT, "String": re.compile(r"(?s)\S(.*\S)?")}


def check(name: str, cell: str) -> None:
    """One cell against its row of the specification."""
    rule = SPEC[name]
    if cell == "":
        assert rule["nulls"] == "yes", f"{name} must not be null"
        return
    if rule["type"] == "JSON":
        assert all(isinstance(value, str | int | float | bool) for value in json.loads(cell).values())
    else:
        assert FORMS[rule["type"]].fullmatch(cell), f"{name}: {cell}"
    if name == "BillingCurrency":
        assert re.fullmatch("[A-Z]{3}", cell)
    elif rule["values"] and rule["level"] != "ours":
        assert cell in rule["values"].split(", "), f"{name}: {cell}"


def test_the_documented_table_is_what_is_written():
    assert tuple(SPEC) == focus.COLUMNS
    assert {name for name, rule in SPEC.items() if rule["level"] == "Mandatory"} == MANDATORY


def test_columns_stand_in_the_order_that_the_specification_asks_for():
    theirs = [name for name in focus.COLUMNS if not name.startswith("x_")]
    ours = [name for name in focus.COLUMNS if name.startswith("x_")]

    assert (*theirs, *ours) == focus.COLUMNS
    assert theirs == sorted(theirs)
    assert ours == sorted(ours)
    assert all(re.fullmatch(r"(x_)?([A-Z][a-z0-9]*)+", name) for name in focus.COLUMNS)


@pytest.mark.parametrize("case", CASES)
def test_every_cell_is_of_its_type_and_null_only_where_it_may_be(case):
    row = focus.row(CASES[case], ACCOUNT)

    assert tuple(row) == focus.COLUMNS
    for name, cell in row.items():
        check(name, cell)


@pytest.mark.parametrize("case", CASES)
def test_columns_agree_with_each_other_as_the_specification_asks(case):
    row = focus.row(CASES[case], ACCOUNT)
    measured = ("PricingQuantity", "PricingUnit", "SkuId", "SkuPriceId", "ListUnitPrice", "PricingCategory")

    if row["ChargeCategory"] == "Usage" and row["ChargeClass"] != "Correction":
        assert all(row[name] for name in (*measured, "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice"))
        for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
            product = Decimal(row[price]) * Decimal(row["PricingQuantity"])
            assert abs(product - Decimal(row[cost])) <= Decimal("0.000001")
    else:
        assert row["ConsumedQuantity"] == row["ConsumedUnit"] == ""
        assert row["ListCost"] == row["BilledCost"] == row["EffectiveCost"]
    if row["ChargeCategory"] == "Purchase":
        assert row["ChargeFrequency"] != "Usage-Based"
    assert bool(row["ResourceId"]) == bool(row["ResourceType"])
    assert row["SkuMeter"] == "" or row["SkuId"]
    assert row["ChargePeriodStart"] < row["ChargePeriodEnd"], "an end is exclusive, so no period is empty"
    assert row["BillingPeriodStart"] < row["BillingPeriodEnd"]
    assert row["ChargePeriodStart"] < row["BillingPeriodEnd"]


def test_a_line_says_whose_what_and_why():
    row = focus.row(USAGE, ACCOUNT)

    assert (row["BilledCost"], row["BillingCurrency"], row["PricingUnit"]) == ("8.750000", "EUR", "GPU-Hours")
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == ("2026-11-20T09:30:00Z", "2026-11-20T12:00:01Z")
    assert (row["SubAccountId"], row["BillingAccountId"]) == ("routing", "example-org")
    assert (row["ResourceId"], row["ResourceName"], row["ResourceType"]) == (
        "routing/training.run:3",
        "router v3",
        "Run",
    )
    assert (row["x_RunId"], row["x_Outcome"], row["x_LossCause"], row["x_IdleQuantity"]) == (
        "3", "failed", "memory", "0.250000",
    )  # fmt: skip
    tags = json.loads(row["Tags"])
    assert (tags["luthier/run"], tags["luthier/outcome"], tags["luthier/loss_cause"]) == (3, "failed", "memory")
    assert all(name.startswith("luthier/") for name in tags)


def test_a_correction_is_called_one_only_when_its_month_is_closed():
    within = focus.row(CASES["a correction in its month"], ACCOUNT)
    after = focus.row(CASES["a correction of a closed month"], ACCOUNT)

    assert (within["ChargeCategory"], within["ChargeClass"]) == ("Adjustment", "")
    assert (after["ChargeCategory"], after["ChargeClass"]) == ("Usage", "Correction")
    assert after["BillingPeriodStart"] == "2026-12-01T00:00:00Z", "billed when it was booked"
    assert after["ChargePeriodStart"] == "2026-11-20T09:30:00Z", "for the time that it is about"
    assert after["x_CorrectsLineId"] == "7"
    assert after["ChargeDescription"] == "Correction of line 7: Wrong clock."


def test_no_name_becomes_a_formula():
    assert focus.row(CASES["a name that is a formula"], ACCOUNT)["ResourceName"] == "'=1+1"


def test_numbers_have_no_exponents():
    assert focus.number(Decimal("0.000001")) == "0.000001"
    assert focus.number(Decimal("1E+3")) == "1000"
    assert focus.number(Decimal("-0.5")) == "-0.5"
