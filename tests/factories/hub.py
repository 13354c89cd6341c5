"""A model hub on this machine, and a cache such as a hub's client leaves behind."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fill_cache(
    cache: Path, repo_id: str, folder: Path, refs: tuple[str, ...] = ("main",), commit: str = COMMIT
) -> Path:
    """What `huggingface_hub` leaves of a model: blobs, links to them by commit, and what names meant."""
    home = cache / f"models--{repo_id.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        blob = home / "blobs" / (sha256(data) if path.suffix == LARGE else hashlib.sha1(data).hexdigest())
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / path.name).symlink_to(Path("../../blobs") / blob.name)
    for ref in refs:
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / ref).write_text(commit)
    return snapshot


class _Hub(BaseHTTPRequestHandler):
    """The few addresses that fetching a model asks for."""

    folder: Path
    asked: list[str]
    gated = False

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        if self.gated:
            return self._send(403, b"{}", {"X-Error-Code": "GatedRepo"}, body)
        if found := re.fullmatch(r"/api/models/acme/tiny/revision/(.+)", path):
            return self._info(found[1], body)
        if re.fullmatch(rf"/api/models/acme/tiny/tree/{COMMIT}", path):
            return self._send(200, json.dumps(self._tree()).encode(), {}, body)
        if found := re.fullmatch(rf"/acme/tiny/resolve/{COMMIT}/([\w.-]+)", path):
            return self._file(self.folder / found[1], body)
        return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

    def _info(self, revision: str, body: bool) -> None:
        if revision not in {"main", "v1.0", COMMIT}:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body)
        files = [{"rfilename": entry["path"], **entry} for entry in self._tree()]
        info = {"id": "acme/tiny", "modelId": "acme/tiny", "sha": COMMIT, "siblings": files, "tags": []}
        return self._send(200, json.dumps(info).encode(), {}, body)

    def _tree(self) -> list[dict]:
        found = []
        for path in sorted(self.folder.iterdir()):
            data = path.read_bytes()
            entry = {"type": "file", "path": path.name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            entry["blobId"] = entry["oid"]
            if path.suffix == LARGE:
                entry["lfs"] = {"oid": sha256(data), "sha256": sha256(data), "size": len(data), "pointerSize": 100}
            found.append(entry)
        return found

    def _file(self, path: Path, body: bool) -> None:
        data = path.read_bytes()
        etag = sha256(data) if path.suffix == LARGE else hashlib.sha1(data).hexdigest()
        self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}, body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data)), "Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


@contextmanager
def served(folder: Path, *, gated: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Serve one model, acme/tiny, at one commit; its address, and what it was asked for."""
    asked: list[str] = []
    handler = type("Hub", (_Hub,), {"folder": folder, "asked": asked, "gated": gated})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
