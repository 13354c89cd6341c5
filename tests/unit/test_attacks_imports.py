"""Adapters that were trained elsewhere, A13–A16: what is taken, what is refused, and that all of it is told at once."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.domain.errors import Invalid, Refused
from tests.factories import hostile
from tests.factories import model_files as files
from tests.factories.model_files import CONFIG
from training.domain import adapter_config, adapters
from training.domain.matching import Candidate, NoBase, Proof, match
from training.engine import adapter_import, hashing, unpacking, weights

COMMIT, FINGERPRINT = "c" * 40, "f" * 64
BASE = Candidate(1, "base", "acme/base", COMMIT, FINGERPRINT)
LOCAL = Candidate(2, "local", "", "", "e" * 64)
OLDER = Candidate(3, "older", "acme/base", "d" * 40, "a" * 64)


@pytest.mark.parametrize(
    ("named", "revision", "chosen", "base", "proof", "codes"),
    [
        ("acme/base", COMMIT, None, 1, Proof.EXACT, []),
        ("ACME/Base", COMMIT, None, 1, Proof.EXACT, []),
        (None, FINGERPRINT, None, 1, Proof.EXACT, []),
        ("somewhere/else", FINGERPRINT, None, 1, Proof.EXACT, []),
        ("local", "e" * 64, None, 2, Proof.EXACT, []),
        ("local", None, None, 2, Proof.NAME, ["base_unproven"]),
        ("local", "main", None, 2, Proof.NAME, ["base_unproven"]),
        ("local", "b" * 40, None, 2, Proof.NAME, ["revision_differs"]),
        ("acme/base", "b" * 40, 1, 1, Proof.NAME, ["revision_differs"]),
        ("acme/base", COMMIT, 2, 2, Proof.DECLARED, ["revision_differs"]),
        ("acme/other", None, 2, 2, Proof.DECLARED, ["base_unproven"]),
        (None, None, 2, 2, Proof.DECLARED, ["base_unproven"]),
    ],
)
def test_a16_the_base_is_matched_by_its_version_then_by_its_name_else_as_declared(
    named, revision, chosen, base, proof, codes
):
    found = match({"base_model_name_or_path": named, "revision": revision}, [BASE, LOCAL, OLDER], chosen)
    assert (found.base.id, found.proof) == (base, proof)
    assert [one.code for one in found.findings] == codes
    assert not any(one.refuses for one in found.findings)


@pytest.mark.parametrize(
    ("named", "revision", "code"),
    [("acme/base", None, "base_ambiguous"), ("acme/new", None, "base_not_found"), (None, None, "base_not_found")],
)
def test_a16_a_base_that_is_not_registered_or_not_the_only_one_is_asked_for(named, revision, code):
    with pytest.raises(NoBase) as refused:
        match({"base_model_name_or_path": named, "revision": revision}, [BASE, LOCAL, OLDER])
    assert (refused.value.code, refused.value.field) == (code, "base")


@given(named=st.none() | st.text(max_size=20), revision=st.none() | st.text(max_size=20))
def test_a16_any_name_is_matched_or_refused(named, revision):
    try:
        found = match({"base_model_name_or_path": named, "revision": revision}, [BASE, LOCAL, OLDER])
    except NoBase:
        return
    assert found.base in (BASE, LOCAL, OLDER)


# Reading


def adapter_files(**config) -> dict[str, bytes]:
    return {
        adapters.CONFIG: json.dumps(CONFIG | {"revision": FINGERPRINT} | config).encode(),
        adapters.WEIGHTS: files.tensors(files.pair_weights()),
    }


class Import:
    """The reading child in this process: what it said, and what it left."""

    def __init__(self, home, monkeypatch) -> None:
        self.home, self.events = home, []
        self.base = home / "base"
        self.base.mkdir(parents=True)
        (self.base / "config.json").write_text(json.dumps({"architectures": ["X"]}))
        (self.base / "tokenizer.json").write_text("{}")
        (self.base / "chat_template.jinja").write_text("{{ messages }}")
        (self.base / "model.safetensors").write_bytes(files.tensors(files.base_weights()))
        self.parts = hashing.base_parts(self.base)
        self.out, self.came = home / "out", home / "came"
        self.came.mkdir()
        monkeypatch.setattr(adapter_import, "die_with_parent", lambda: None)
        monkeypatch.setattr(adapter_import, "emit", lambda event, **told: self.events.append({"event": event} | told))

    def of(self, named: dict[str, bytes], *, chosen: int | None = None, archive: bool = False, most: int = 10**8):
        if archive:
            named = {"archive.zip": hostile.zipped(named)}
        for name, content in named.items():
            (self.came / name).write_bytes(content)
        (self.came / adapters.MANIFEST).write_text("{}")  # the store's own
        candidate = {
            "id": 1, "name": "base", "repo_id": "acme/base", "revision": "", "fingerprint": FINGERPRINT,
            "parts": self.parts, "path": str(self.base), "shown_as": "acme/base",
        }  # fmt: skip
        spec = {
            "source": str(self.came), "work_dir": str(self.home / "work"), "out_dir": str(self.out), "most_bytes": most,
            "name": "mine", "origin": "cluster | B", "chosen": chosen, "candidates": [candidate],
        }  # fmt: skip
        (self.home / "spec.json").write_text(json.dumps(spec))
        adapter_import.main(str(self.home / "spec.json"))
        return self.events[-1]

    def refused(self, *args, **options) -> list[str]:
        with pytest.raises(Refused) as refusal:
            self.of(*args, **options)
        assert len(refusal.value.message) > 20
        assert not self.out.exists()
        found = [event for event in self.events if event["event"] == "findings"]
        codes = [one["code"] for one in found[-1]["findings"]] if found else [refusal.value.code]
        assert refusal.value.code in codes
        return codes


@pytest.fixture
def importing(tmp_path, monkeypatch):
    return Import(tmp_path / "home", monkeypatch)


@pytest.mark.parametrize("archive", [False, True])
def test_an_honest_adapter_is_taken_and_kept_as_it_is_understood(importing, archive):
    named = adapter_files(megatron_core="megatron.core", peft_version="0.17.0", target_modules=["q_proj", "v_proj"])
    result = importing.of(named, archive=archive)
    assert (result["event"], result["proof"], result["base"], result["findings"]) == ("result", "exact", 1, [])
    assert result["declared"] | {"target_modules": 0} == {
        "base_model_name_or_path": "acme/base", "revision": FINGERPRINT, "peft_version": "0.17.0",
        "target_modules": 0, "parameters": 6 * 2 * (6 + 8),
    }  # fmt: skip
    kept = json.loads((importing.out / adapters.CONFIG).read_text())
    assert adapter_config.findings(kept) == []
    assert kept["target_modules"] == ["q_proj"]  # what the weights have, whatever the config said
    adapters.check_config(kept, base="acme/base", revision=FINGERPRINT)
    assert (importing.out / adapters.WEIGHTS).read_bytes() == named[adapters.WEIGHTS]
    assert (importing.out / "tokenizer.json").read_text() == "{}"  # the base's
    listed = result["adapter"]["files"]
    assert listed == {
        n: {"sha256": hashing.sha256_file(importing.out / n), "size": e["size"]} for n, e in listed.items()
    }
    card = (importing.out / adapters.CARD).read_text()
    assert card.startswith('---\nbase_model: "acme/base"') and "cluster \\| B" in card


def test_a_folder_around_the_files_of_an_archive_is_no_matter(importing):
    named = {f"router-2/{name}": content for name, content in adapter_files().items()}
    assert importing.of(named, archive=True)["event"] == "result"


def test_the_card_that_comes_along_is_quoted_and_cannot_speak_for_ours(importing):
    evil = b"---\nbase_model: other/base\n---\n# <script>alert(1)</script>\n\x00"
    importing.of(adapter_files() | {adapters.CARD: evil})
    card = (importing.out / adapters.CARD).read_text()
    assert card.count("\nbase_model:") == 1
    assert "> base_model: other/base" in card and "> # <script>" in card


def test_a_tokenizer_or_template_of_its_own_is_told_and_not_used(importing):
    own = {"tokenizer.json": b'{"x": 1}', "chat_template.jinja": b"{{ 'other' }}"}
    result = importing.of(adapter_files() | own)
    assert [one["code"] for one in result["findings"]] == ["tokenizer_differs", "template_differs"]
    assert (importing.out / "chat_template.jinja").read_text() == "{{ messages }}"


def test_a13_pickles_are_refused_by_name_and_nothing_of_the_archive_is_unpacked(importing, tmp_path):
    marker = tmp_path / "ran"
    named = adapter_files() | {"adapter_model.bin": files.payload(marker), "training_args.bin": b"\x80\x04."}
    assert importing.refused(named, archive=True) == ["only_safetensors", "only_safetensors"]
    assert not list((importing.home / "work").iterdir())
    assert not marker.exists()


def test_a13_a_pickle_by_any_other_name_is_read_as_what_it_claims_and_never_loaded(importing, tmp_path):
    marker = tmp_path / "ran"
    assert importing.refused(adapter_files() | {adapters.WEIGHTS: files.payload(marker)}) == ["damaged_weights"]
    assert not marker.exists()


@pytest.mark.parametrize("name", ["run.sh", "modeling.py", "deep/er/x.json", "checkpoint-5/adapter_config.json", "x"])
def test_a13_files_that_do_not_belong_are_refused_by_name(importing, name):
    assert importing.refused(adapter_files() | {name: b"x"}, archive=True) == ["unknown_file"]


def test_a14_everything_that_is_wrong_is_found_in_one_reading(importing):
    named = files.pair_weights(sides=(6, 10))
    named[next(name for name in named if "lora_B" in name)][0, 0] = np.nan
    bad = adapter_files(base_model_name_or_path="acme/base", revision=None) | {
        adapters.WEIGHTS: files.tensors(named),
        "tokenizer.json": b"[]",
    }
    assert importing.refused(bad) == ["base_unproven", "tokenizer_differs", "shape_mismatch", "not_finite"]
    assert importing.events[-1]["declared"]["base_model_name_or_path"] == "acme/base"


def test_a14_a_config_and_weights_that_are_both_wrong_are_both_told(importing):
    bad = adapter_files(auto_map={"x": "y"}, use_dora=True) | {adapters.WEIGHTS: b"torn"}
    assert importing.refused(bad) == ["unsafe_adapter_config", "unsupported_adapter", "damaged_weights"]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"base_model_name_or_path": "http://evil.example"}, ["unsafe_adapter_config"]),
        ({"base_model_name_or_path": "acme/other", "revision": None}, ["base_not_found"]),
        ({"r": 4}, ["wrong_shape"]),
        ({"r": 9000}, ["unsafe_adapter_config"]),
        ({"target_modules": ".*"}, ["unsafe_adapter_config"]),
    ],
)
def test_a14_a16_what_the_config_says_is_checked_against_everything(importing, changes, codes):
    assert importing.refused(adapter_files(**changes)) == codes


def test_a16_a_base_whose_files_have_changed_since_is_no_base_to_compare_with(importing):
    (importing.base / "config.json").write_text(json.dumps({"architectures": ["Y"]}))
    assert importing.refused(adapter_files()) == ["base_changed"]


def test_an_export_of_ours_brings_its_sums_and_they_are_compared(importing):
    named = adapter_files()
    sums = {name: {"sha256": "0" * 64, "size": 1} for name in (adapters.CONFIG, "../../etc/passwd")}
    listed = json.dumps({"files": sums}).encode()
    assert importing.refused(named | {adapters.MANIFEST: listed}, archive=True) == ["checksum_mismatch"] * 2


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"files": 7}', b'{"files": {"x": 1}}', b"\xff", b"{" * 5000])
def test_a_manifest_that_is_none_is_refused(importing, content):
    assert importing.refused(adapter_files() | {adapters.MANIFEST: content}, archive=True) == ["checksum_mismatch"]


# Archives


def zip_of(tmp_path, content: bytes):
    (tmp_path / "came").mkdir()
    (tmp_path / "came" / "archive.zip").write_bytes(content)
    return unpacking.unpacked(tmp_path / "came", tmp_path / "work", 10**8)


HONEST = adapter_files()
BAD_ZIPS = {
    "no archive": (lambda: b"PK\x03\x04" + bytes(100), "archive_damaged"),
    "cut": (lambda: hostile.zipped(HONEST)[:-30], "archive_damaged"),
    "a bomb": (lambda: hostile.zipped(HONEST | {adapters.WEIGHTS: bytes(80_000_000)}), "archive_too_large"),
    "ten thousand entries": (lambda: hostile.zip_of_empty_files(10_000), "archive_too_many"),
    "one file many times": (lambda: hostile.zip_of_one_file_many_times(500), "archive_too_large"),
    "a path upwards": (lambda: hostile.zipped(HONEST | {"../../etc/cron.d/x": b"x"}), "unsafe_path"),
    "an absolute path": (lambda: hostile.zipped(HONEST | {"/etc/x": b"x"}), "unsafe_path"),
    "a path of Windows": (lambda: hostile.zipped(HONEST | {"C:\\x": b"x"}), "unsafe_path"),
    "a link": (lambda: hostile.zip_with_mode(adapters.CONFIG, b"/etc/passwd", hostile.LINK), "unsafe_path"),
    "a name twice": (lambda: hostile.zipped(HONEST | {adapters.CONFIG.upper(): b"x"}), "unsafe_path"),
}


@pytest.mark.parametrize(("make", "code"), BAD_ZIPS.values(), ids=BAD_ZIPS.keys())
def test_a01_a07_an_archive_that_is_an_attack_is_refused(tmp_path, make, code):
    with pytest.raises(Invalid) as refused:
        zip_of(tmp_path, make())
    assert refused.value.code == code
    assert not [path for path in (tmp_path / "work").rglob("*") if path.stat().st_size]


def test_a02_an_archive_that_understates_a_size_is_stopped(tmp_path):
    lying = hostile.zip_that_understates(50_000_000).replace(b"a.jsonl", b"abcdefg")
    whole = zipfile.ZipFile(tmp_path / "x.zip", "w")
    whole.close()
    found = zip_of(tmp_path, lying)
    assert [one.code for one in found] == ["unknown_file", "incomplete_adapter", "incomplete_adapter"]
    target = tmp_path / "out"
    (tmp_path / "lying.zip").write_bytes(lying)
    with (
        zipfile.ZipFile(tmp_path / "lying.zip") as archive,
        pytest.raises((Invalid, zipfile.BadZipFile)),
    ):
        unpacking._extract(archive, archive.infolist()[0], target)
    assert target.stat().st_size <= 100


@pytest.mark.parametrize(
    ("name", "size", "code"),
    [
        (adapters.CONFIG, 10_000_000, "unsafe_adapter_config"),
        (adapters.CARD, 2_000_000, "file_too_large"),
        ("tokenizer.json", 70_000_000, "file_too_large"),
    ],
)
@pytest.mark.parametrize("archive", [False, True])
def test_a14_files_of_absurd_size_are_refused_before_they_are_opened(importing, name, size, code, archive):
    assert importing.refused(adapter_files() | {name: b" " * size}, archive=archive) == [code]


def test_a16_shapes_of_packed_weights_are_not_guessed(tmp_path):
    """A base in 4 bits stores its layers in another shape: nothing can be said, so nothing is."""
    packed = {f"{files.LAYER.format(n)}.weight": files.entry([24, 1], n * 24, n * 24 + 24, "U8") for n in range(6)}
    (tmp_path / "model.safetensors").write_bytes(files.header(packed, 6 * 24))
    path = tmp_path / "adapter_model"
    path.write_bytes(files.tensors(files.pair_weights()))
    assert weights.adapter_findings(path, CONFIG, weights.base_shapes(tmp_path)) == []
