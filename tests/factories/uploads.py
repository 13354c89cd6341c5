"""Files in parts, sent the way a client sends them."""

import hashlib
import json
from typing import Any

from datasets_app.models import Dataset


class Sender:
    """A client of the API that is signed in as somebody; `answer` is what the last request got."""

    def __init__(self, client: Any, project: Any) -> None:
        self.client, self.root = client, f"/api/v1/projects/{project.slug}/incoming/"

    def begin(self, dataset: Dataset, content: bytes, name: str = "rows.jsonl", **more: Any) -> Any:
        told = {"dataset": dataset.pk, "file_name": name, "size": len(content), **more}
        return self.client.post(self.root, json.dumps(told), content_type="application/json")

    def part(self, pk: str, number: int, piece: bytes, sha256: str | None = None) -> Any:
        digest = hashlib.sha256(piece).hexdigest() if sha256 is None else sha256
        return self.client.put(
            f"{self.root}{pk}/parts/{number}/",
            piece,
            content_type="application/octet-stream",
            headers={"X-Content-SHA256": digest} if digest else {},
        )

    def finish(self, pk: str) -> Any:
        return self.client.post(f"{self.root}{pk}/finish/", "{}", content_type="application/json")

    def status(self, pk: str) -> Any:
        return self.client.get(f"{self.root}{pk}/")

    def abort(self, pk: str) -> Any:
        return self.client.delete(f"{self.root}{pk}/")

    def send(self, dataset: Dataset, content: bytes, **more: Any) -> Any:
        """All of it, part by part; the answer to the finish."""
        begun = self.begin(dataset, content, **more).json()
        size = begun["part_size"]
        for number in range(begun["parts_expected"]):
            assert self.part(begun["id"], number, content[number * size : (number + 1) * size]).status_code == 200
        return self.finish(begun["id"])
