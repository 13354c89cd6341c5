"""python -m training.engine.fingerprint SPEC: hash a base model, fetching it from the hub first if it lives there."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from datasets_app.engine import apart
from datasets_app.engine.chat_template import ChatTemplate, Unshowable
from datasets_app.engine.rendering import read_tokenizer
from projects.domain.errors import Refused
from training.domain import fingerprint, integrity, licences, safetensors
from training.engine import anatomy, hashing, places, weights
from training.engine.events import EngineError, emit, run_child
from training.engine.watch import StopFlag, die_with_parent

# What a model needs to be loaded; scripts and pickles are not even fetched.
WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]
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
    folder, revision = Path(spec["path"]), spec.get("revision", "")
    if spec["source"] == "hub":
        revision = fetch(spec["repo_id"], revision, folder)
    emit("result", **describe(folder, Path(spec.get("root") or folder)), revision=revision)


def fetch(repo_id: str, revision: str, folder: Path) -> str:
    """Download one commit of a model into `folder`; the answer is the commit that the revision meant."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    emit("progress", phase="downloading", done=0, total=1)
    try:
        info = HfApi().model_info(repo_id, revision=revision or None)
        fingerprint.check_files(sibling.rfilename for sibling in info.siblings)
        snapshot_download(repo_id, revision=info.sha, local_dir=folder, allow_patterns=WANTED)
    except (RepositoryNotFoundError, RevisionNotFoundError) as problem:
        raise EngineError(
            f"The hub has no model “{repo_id}” at “{revision or 'main'}”.", code="revision_not_found"
        ) from problem
    except (HfHubHTTPError, OSError) as problem:
        raise EngineError(f"The model hub cannot be reached: {problem}", code="hub_unreachable") from problem
    emit("progress", phase="downloading", done=1, total=1)
    return str(info.sha)


def describe(folder: Path, root: Path | None = None) -> dict[str, Any]:
    """All that is recorded about a base model, computed from its files; none may lie outside of `root`."""
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
    parts = hashing.base_parts(folder, tell=_Told(total))
    return {
        "parts": parts,
        "fingerprint": fingerprint.of(parts),
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


class _Told:
    """Progress in bytes, told about a hundred times at most."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.told = max(total, 1), 0, 0

    def __call__(self, count: int) -> None:
        self.done += count
        if self.done - self.told >= self.total / 100:
            self.told = self.done
            emit("progress", phase="hashing", done=min(self.done, self.total), total=self.total)


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
