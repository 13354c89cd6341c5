"""Licences of bases: what is known of them is said, what is not known is said to be unknown."""

import pytest
from django.conf import settings

from training.domain import licences
from training.domain.licences import Duty


def test_the_documentation_has_every_licence():
    assert (settings.BASE_DIR / "docs" / "licences.md").read_text() == licences.as_markdown(), (
        "run `python -m training.domain.licences > docs/licences.md`"
    )


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("apache-2.0", "apache-2.0"), ("Apache 2.0", "apache-2.0"), ("MIT", "mit"), ("llama3.1", "llama3.1"),
        ("Llama 3.1", "llama3.1"), ("tongyi_qianwen", "qwen"), ("cc-by-nc-4.0", "cc-by-nc-4.0"),
    ],
)  # fmt: skip
def test_a_licence_is_known_however_a_card_spells_it(said, known):
    assert licences.terms(said).known.id == known


@pytest.mark.parametrize("said", ["", "other", "acme-internal", "apache", "llama", "mit or so"])
def test_what_is_not_in_the_table_is_unknown_and_never_guessed(said):
    terms = licences.terms(said, own="Ask Kim.")
    assert terms.known is None and terms.commercial is None and terms.duties == []
    assert terms.use.startswith("Not known") and terms.tone == "attention"
    assert terms.as_dict()["own"] == "Ask Kim."


def test_the_clauses_that_differ_between_versions_of_one_licence_are_told_apart():
    two, three, newer, eu = (licences.LICENCES[f"llama{n}"] for n in ("2", "3", "3.1", "3.2"))
    assert {one.most_users for one in (two, three, newer, eu)} == {700_000_000}
    assert Duty.NAMING not in two.duties and "“Llama 3”" in three.duties[Duty.NAMING]
    assert "“Llama”" in newer.duties[Duty.NAMING]
    assert "may not" in three.duties[Duty.OUTPUTS] and "may not" not in newer.duties[Duty.OUTPUTS]
    assert Duty.REGION in eu.duties and Duty.REGION not in newer.duties


def test_research_licences_do_not_allow_commercial_use():
    forbidden = {name for name, licence in licences.LICENCES.items() if licence.commercial is False}
    assert forbidden == {"cc-by-nc-4.0", "cc-by-nc-sa-4.0", "qwen-research", "mrl"}
    assert licences.terms("mrl").tone == "failed"


def test_the_name_beside_other_is_what_a_card_calls_its_licence():
    assert licences.named("other", "qwen-research") == "qwen-research"
    assert licences.named("apache-2.0", "something") == "apache-2.0"
    assert licences.named("other", "") == "other"


def test_every_link_and_alias_leads_somewhere():
    assert all(licence.url.startswith("https://") for licence in licences.LICENCES.values())
    assert set(licences.ALIASES.values()) <= set(licences.LICENCES)


def test_the_link_of_a_card_counts_more_than_the_general_one():
    assert licences.terms("mit", "https://acme.example/licence").url == "https://acme.example/licence"
    assert licences.terms("mit").url == licences.LICENCES["mit"].url
