"""What a worker reads of its machine, with a driver that a test wrote and the parser of the product."""

import os

import pytest

from projects import probes
from tests.factories.hosts import driver_output, fake_driver


@pytest.fixture(autouse=True)
def no_memory(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    probes.forget()
    yield
    probes.forget()


def test_cards_are_read_from_the_driver(settings, tmp_path):
    settings.NVIDIA_SMI = fake_driver(tmp_path, driver_output(2, temperature=58, use=30))

    reading = probes.read_cards()

    assert [card.index for card in reading.cards] == [card.index for card in reading.mine] == [0, 1]
    assert (reading.cards[0].temperature, reading.cards[0].utilisation, reading.note) == (58.0, 0.3, "")
    assert "--query-gpu=index,uuid,name" in (tmp_path / "asked").read_text()


def test_a_process_that_was_left_one_card_has_one_and_the_host_still_has_two(settings, tmp_path, monkeypatch):
    settings.NVIDIA_SMI = fake_driver(tmp_path, driver_output(2))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    reading = probes.read_cards()

    assert [card.index for card in reading.cards] == [0, 1]
    assert [card.index for card in reading.mine] == [1]


@pytest.mark.parametrize(
    ("says", "returncode", "hidden", "note"),
    [
        ("No devices were found\n", 0, None, "lists no card"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the driver.\nMore\n", 9, None, "communicate"),
        (driver_output(1), 0, "", "hides every card"),
    ],
)
def test_why_there_is_no_card_is_said(settings, tmp_path, monkeypatch, says, returncode, hidden, note):
    settings.NVIDIA_SMI = fake_driver(tmp_path, says, returncode=returncode)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)

    reading = probes.read_cards()

    assert reading.mine == ()
    assert note in reading.note


def test_a_machine_without_a_driver_says_so(settings):
    settings.NVIDIA_SMI = "/nowhere/nvidia-smi"

    assert "was not found" in probes.read_cards().note


def test_a_driver_that_hangs_holds_nobody(settings, tmp_path, monkeypatch):
    settings.NVIDIA_SMI = fake_driver(tmp_path, "")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(probes, "SECONDS", 0.2)

    assert "did not answer" in probes.read_cards().note


def test_places_stay_while_the_driver_forgets_a_card_for_a_moment(settings, tmp_path):
    settings.NVIDIA_SMI = fake_driver(tmp_path, driver_output(2))
    assert len(probes.own_cards()) == 2

    settings.NVIDIA_SMI = "/nowhere/nvidia-smi"
    probes.remember(probes.read_cards())

    assert len(probes.own_cards()) == 2


def test_cards_that_the_driver_finds_later_are_used(settings, tmp_path):
    settings.NVIDIA_SMI = "/nowhere/nvidia-smi"
    assert probes.own_cards() == ()

    settings.NVIDIA_SMI = fake_driver(tmp_path / "late", driver_output(1))
    probes.remember(probes.read_cards())

    assert len(probes.own_cards()) == 1


def test_the_load_is_of_this_machine(settings, tmp_path):
    settings.WORK_DIR = tmp_path
    load = probes.read_load()

    assert 0 <= load["cpu"] <= 1
    assert load["cpus"] == os.cpu_count()
    assert 0 < load["memory_used"] < load["memory_total"]
    assert 0 < load["disk_free"] < load["disk_total"]


def test_versions_tell_checkouts_apart(settings, tmp_path):
    here = probes.versions()
    assert here["luthier"].startswith("0.1.0+")
    assert here["celery"]

    (tmp_path / "projects").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    settings.BASE_DIR = tmp_path
    (tmp_path / "projects" / "leases.py").write_text("a = 1\n")
    first = probes.own_version()
    (tmp_path / "projects" / "leases.py").write_text("a = 2\n")

    assert first != probes.own_version()
