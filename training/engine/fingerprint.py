"""python -m training.engine.fingerprint SPEC: hash a base model, fetching it from the hub first if it lives there."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from datasets_app.engine import apart
from datasets_app.engine.chat_template import ChatTemplate, Unshowable
from datasets_app.engine.rendering import read_tokenizer
from projects.domain.errors import Refused
from training.domain import fingerprint, integrity, licences, safetensors
from training.engine import anatomy, copies, hashing, hub, places, weights
from training.engine.events import EngineError, emit, run_child
from training.engine.watch import StopFlag, die_with_parent

EVERY_SECONDS = 0.5
TRIAL_SECONDS, TRIAL_BYTES = 2, 512 * 1024**2
TRIAL = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "", "parameters": {"type": "object"}}}
CALL = [{"type": "function", "function": {"name": "f", "arguments": {}}}]
PROBES: list[tuple[list[dict[str, Any]], list[dict[str, Any]] | None]] = [
    (TRIAL * 3, None),
    ([{"role": "system", "content": "Be brief."}, *TRIAL], None),
    ([{"role": "user", "content": "word " * 2000}, TRIAL[1]], None),
    ([TRIAL[0], {"role": "assistant", "content": "", "tool_calls": CALL}, {"role": "tool", "content": "1"}], [TOOL]),
]
TEMPLATE_CODES = frozenset({"template", "template_limit", "template_forbidden"})


def main(spec_path: str) -> None:
    spec = json.loads(Path(spec_path).read_text())
    StopFlag().install()
    die_with_parent()
    emit("started", device="cpu", device_name="", total=0)
    folder, fetched = Path(spec["path"]), hub.Fetched(spec.get("revision", ""), {})
    if spec["source"] == "hub":
        fetched = hub.fetch(spec["repo_id"], fetched.commit, folder)
    memory = Path(spec["memory"]) if spec.get("memory") else None
    if "expected" in spec and memory:
        return emit("result", **check(folder, spec["expected"], memory))
    found = describe(folder, Path(spec.get("root") or folder), memory)
    fetched.check(found["parts"]["weights"])
    return emit("result", **found, revision=fetched.commit)


def check(folder: Path, expected: dict[str, Any], memory: Path) -> dict[str, Any]:
    """What of a registered base is missing or other, with every byte read anew."""
    told = _Told(sum(expected.get("sizes", {}).values()))
    seen = copies.compare(folder, expected, memory, told)
    return {"missing": list(seen.missing), "changed": list(seen.changed), "untold": seen.untold}


def describe(folder: Path, root: Path | None = None, memory: Path | None = None) -> dict[str, Any]:
    """All that is recorded about a base model, computed from its files; none may lie outside of `root`.

    `memory` is a file of this host that keeps what has been hashed: after a cut the next attempt goes on from there.
    """
    if not folder.is_dir():
        raise EngineError("The directory is gone.", code="base_missing")
    places.check(folder, root or folder)
    configs = {name: weights.read_config(folder / name) for name in fingerprint.CONFIGS}
    for name, config in configs.items():
        if config or name == "config.json":
            fingerprint.check_config(config, name)
    headers = weights.base_headers(folder)
    template = _try_template(folder)
    read_tokenizer(folder)
    total = sum((folder / name).stat().st_size for name in headers)
    parts = _hashed(folder, [folder / name for name in headers], total, memory)
    return {
        "parts": parts,
        "fingerprint": fingerprint.of(parts),
        "quantisation": fingerprint.quantisation(configs["config.json"]),
        "dtype": safetensors.main_dtype(headers.values()),
        "parameters": sum(safetensors.parameters(header) for header in headers.values()),
        "size_bytes": total,
        **_licence(folder),
        "template": template,
        "anatomy": anatomy.of_base(folder),
        **fingerprint.facts(configs["config.json"]),
        "shape": fingerprint.shape(configs["config.json"]) | {"linear": _linear(headers)},
    }


def _linear(headers: dict[str, safetensors.Header]) -> dict[str, int]:
    every = {name: shape for header in headers.values() for name, shape in safetensors.shapes(header).items()}
    return integrity.linear_sides(every)


def _hashed(folder: Path, shards: list[Path], total: int, memory: Path | None) -> dict[str, Any]:
    """Hashes of all parts, told as they come; what the memory knows of unchanged files is not read again."""
    if memory is None:
        return hashing.base_parts(folder, tell=_Told(total))
    remembered = hashing.Remembered(memory)
    known = sum(shard.stat().st_size for shard in shards if remembered.knows(shard))
    try:
        parts = hashing.base_parts(folder, tell=_Told(total, known), hashed=remembered.sha256)
    finally:
        remembered.keep()
    remembered.move(memory.with_name(f"{fingerprint.of(parts)}.json"))  # where runs on this host look for it
    return parts


class _Told:
    """Progress in bytes and seconds left, told twice a second at most."""

    def __init__(self, total: int, known: int = 0) -> None:
        self.total, self.known, self.done = max(total, 1), known, known
        self.begun = self.told = time.monotonic()
        self._say(0.0)

    def __call__(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.told >= EVERY_SECONDS:
            self.told = now
            self._say(now - self.begun)

    def _say(self, seconds: float) -> None:
        pace = (self.done - self.known) / seconds if seconds else 0.0
        left = {"left": round(max(0, self.total - self.done) / pace, 1)} if pace else {}
        emit("progress", phase="hashing", done=min(self.done, self.total), total=self.total, **left)


def _try_template(folder: Path) -> str:
    """“none”, “plain”, or “marked” when the template says which words are the assistant's.

    A template is a program, and compiling it may already run parts of it: so all of this happens in a limited fork.
    """

    def trial() -> str:
        template = ChatTemplate(folder)
        if template.compiled is None:
            return "none"
        template.render(TRIAL)
        template.render(TRIAL[:1], ask=True)
        for messages, tools in PROBES:
            _bear(template, messages, tools)
        return "marked" if template.marks_answers else "plain"

    try:
        return str(apart.apart(trial, cpu_seconds=TRIAL_SECONDS, memory_bytes=TRIAL_BYTES))
    except Refused as problem:
        if problem.code not in TEMPLATE_CODES:
            raise
        text = f"The chat template cannot show a plain question and answer: {problem}"
        raise EngineError(text, code=problem.code) from problem


def _bear(template: ChatTemplate, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> None:
    """Many templates refuse a system turn or tools, and may. None may reach out or take too much over them."""
    try:
        template.render(messages, tools)
    except Unshowable as refusal:
        if refusal.code != "template":
            raise


def _licence(folder: Path) -> dict[str, str]:
    """The licence that the model card names, and where its text is; empty when it says neither."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace")[:20_000] if card.exists() else ""
    front = text.split("---")[1] if text.startswith("---") and text.count("---") > 1 else ""

    def said(key: str, pattern: str) -> str:
        found = re.search(rf"^{key}:\s*[\"']?({pattern})", front, re.MULTILINE)
        return found.group(1).strip() if found else ""

    name = licences.named(said("license", r"[\w .+/-]{1,80}"), said("license_name", r"[\w .+/-]{1,80}"))
    link = said("license_link", r"https?://[\w./~%#?=&-]{1,400}")
    return {"licence": name, "licence_link": link}


if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine.fingerprint SPEC.json"))
