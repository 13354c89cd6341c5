"""Artefacts appear whole or not at all, and what is read is what was stored; on a disk and on S3."""

import json
import shutil
import threading

import pytest
from django.core.files.storage import default_storage

from projects import artefacts
from projects.artefacts import MANIFEST, ArtefactDamaged

KEY = "adapters/12/run-7-f3"

pytestmark = [pytest.mark.usefixtures("own_folders"), pytest.mark.files]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "made"
    (folder / "deeper").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 64)
    (folder / "deeper" / "card.md").write_text("# Card\n")
    return folder


@pytest.fixture(params=["disk", "s3"])
def store(request, settings, own_folders, monkeypatch):
    """Both kinds of store. The S3 one is moto's, in this process."""
    if request.param == "disk":
        yield "disk"
        return
    import boto3
    from moto import mock_aws

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="luthier")
        options = {"bucket_name": "luthier", "location": "base", "region_name": "us-east-1", "file_overwrite": True}
        s3 = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
        settings.STORAGES = settings.STORAGES | {"default": s3}
        yield "s3"


def forget_local_copies(settings):
    """As on another host: only the store itself is left."""
    cache = settings.CACHE_DIR / "artefacts"
    if cache.exists():
        cache.rename(settings.CACHE_DIR / "elsewhere")


def test_what_is_stored_comes_back_with_its_manifest(store, source, settings):
    manifest = artefacts.commit_directory(source, KEY)
    forget_local_copies(settings)

    place = artefacts.fetch_directory(KEY)

    assert (place / "adapter_model.safetensors").read_bytes() == bytes(range(256)) * 64
    assert (place / "deeper" / "card.md").read_text() == "# Card\n"
    assert manifest["files"]["deeper/card.md"] == {"sha256": artefacts.sha256_of(source / "deeper/card.md"), "size": 7}
    assert artefacts.read_manifest(KEY) == manifest


def test_storing_the_same_again_changes_nothing(store, source):
    first = artefacts.commit_directory(source, KEY)

    assert artefacts.commit_directory(source, KEY) == first


def test_something_else_under_the_same_key_is_refused(store, source):
    artefacts.commit_directory(source, KEY)
    (source / "deeper" / "card.md").write_text("# Another\n")

    with pytest.raises(ArtefactDamaged, match="Something else"):
        artefacts.commit_directory(source, KEY)


def test_what_was_never_stored_is_missing(store):
    with pytest.raises(ArtefactDamaged, match="missing"):
        artefacts.fetch_directory(KEY)


def test_a_directory_without_its_manifest_does_not_exist(store, source, settings):
    artefacts.commit_directory(source, KEY)
    forget_local_copies(settings)
    default_storage.delete(f"{KEY}/{MANIFEST}")

    with pytest.raises(ArtefactDamaged):
        artefacts.fetch_directory(KEY)


def damage_flip(path):
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_gone(path):
    path.unlink()


@pytest.mark.parametrize("damage", [damage_flip, damage_cut, damage_gone])
def test_damage_is_found_before_use_and_the_file_is_named(source, damage):
    artefacts.commit_directory(source, KEY)
    damage(artefacts.fetch_directory(KEY) / "adapter_model.safetensors")

    with pytest.raises(ArtefactDamaged, match=r"adapter_model\.safetensors"):
        artefacts.fetch_directory(KEY)


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_file_swapped_in_the_bucket_is_found(source, settings, store):
    artefacts.commit_directory(source, KEY)
    forget_local_copies(settings)
    import boto3

    client = boto3.client("s3", region_name="us-east-1")
    client.put_object(Bucket="luthier", Key=f"base/{KEY}/deeper/card.md", Body=b"# Evil\n")

    with pytest.raises(ArtefactDamaged, match=r"card\.md"):
        artefacts.fetch_directory(KEY)


def test_a_torn_manifest_is_damage_not_a_crash(source):
    artefacts.commit_directory(source, KEY)
    (artefacts.fetch_directory(KEY) / MANIFEST).write_text('{"files": {')

    with pytest.raises(ArtefactDamaged):
        artefacts.fetch_directory(KEY)


def test_a_torn_copy_of_an_earlier_try_is_replaced(source):
    torn = artefacts._place(KEY)
    torn.mkdir(parents=True)
    (torn / "adapter_model.safetensors").write_bytes(b"half")

    artefacts.commit_directory(source, KEY)

    assert artefacts.fetch_directory(KEY) == torn


def test_nothing_is_left_when_a_copy_fails(source, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artefacts, "_sync", full)

    with pytest.raises(OSError, match="No space"):
        artefacts.commit_directory(source, KEY)
    with pytest.raises(ArtefactDamaged):
        artefacts.fetch_directory(KEY)


def test_many_readers_may_fetch_at_once(store, source, settings):
    artefacts.commit_directory(source, KEY)
    forget_local_copies(settings)
    places, errors = [], []

    def fetch():
        try:
            places.append(artefacts.fetch_directory(KEY))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert len(set(places)) == 1


def test_a_directory_is_deleted_and_deleting_it_again_is_fine(store, source, settings):
    artefacts.commit_directory(source, KEY)

    artefacts.delete(KEY)
    artefacts.delete(KEY)

    forget_local_copies(settings)
    with pytest.raises(ArtefactDamaged):
        artefacts.fetch_directory(KEY)


def test_an_upload_is_stored_from_its_parts(store, settings):
    sha256, size = artefacts.store_upload("uploads/3/rows.jsonl", [b"one\n", b"two\n"])
    forget_local_copies(settings)

    path = artefacts.local_file("uploads/3/rows.jsonl")

    assert path.read_bytes() == b"one\ntwo\n"
    assert (artefacts.sha256_of(path), path.stat().st_size) == (sha256, size) == (sha256, 8)


def test_an_upload_that_breaks_off_leaves_nothing():
    def chunks():
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        artefacts.store_upload("uploads/4/rows.jsonl", chunks())

    folder = artefacts._place("uploads/4")
    assert list(folder.iterdir()) == []
    with pytest.raises(ArtefactDamaged):
        artefacts.local_file("uploads/4/rows.jsonl")


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/passwd"])
def test_a_key_cannot_leave_the_store(key, source):
    with pytest.raises(ValueError, match="leaves the store"):
        artefacts.commit_directory(source, key)


def test_the_digest_depends_on_names_and_bytes_alone(source, tmp_path):
    first = artefacts.manifest_of(source)
    (source / "deeper" / "card.md").touch()
    assert artefacts.manifest_of(source) == first

    (source / "deeper" / "card.md").rename(source / "deeper" / "card2.md")
    assert artefacts.manifest_of(source)["digest"] != first["digest"]
    assert json.loads(json.dumps(first)) == first


def test_parts_that_were_stored_one_by_one_become_one_file_in_its_order(store, settings):
    sizes = {}
    for number, piece in ((1, b"world"), (0, b"hello ")):
        sha256, size = artefacts.store_upload(f"uploads/x/{number:06d}-a", [piece])
        sizes[f"{number:06d}-a"] = {"sha256": sha256, "size": size}

    artefacts.seal("uploads/x", sizes)
    shutil.rmtree(settings.CACHE_DIR, ignore_errors=True)  # another host has nothing of it yet

    assert b"".join(path.read_bytes() for path in artefacts.local_files("uploads/x")) == b"hello world"
    artefacts.delete("uploads/x")
    with pytest.raises(artefacts.ArtefactDamaged if store == "disk" else Exception):
        artefacts.local_files("uploads/x")
