"""python -m training.engine.fingerprint SPEC: hash a base model, fetching it from the hub first if it lives there."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from datasets_app.engine import apart
from datasets_app.engine.rendering import ChatTokenizer
from projects.domain.errors import Refused
from training.domain import adapters, fingerprint
from training.engine import hashing
from training.engine.events import EngineError, emit, run_child
from training.engine.watch import StopFlag, die_with_parent

# What a model needs to be loaded; scripts and pickles are not even fetched.
WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]
TRIAL_SECONDS, TRIAL_BYTES = 2, 1024**3
TRIAL = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]


def main(spec_path: str) -> None:
    spec = json.loads(Path(spec_path).read_text())
    StopFlag().install()
    die_with_parent()
    emit("started", device="cpu", device_name="", total=0)
    folder, revision = Path(spec["path"]), spec.get("revision", "")
    if spec["source"] == "hub":
        revision = fetch(spec["repo_id"], revision, folder)
    emit("result", **describe(folder), revision=revision)


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


def describe(folder: Path) -> dict[str, Any]:
    """All that is recorded about a base model, computed from its files."""
    if not folder.is_dir():
        raise EngineError("The directory is gone.", code="base_missing")
    fingerprint.check_files(path.name for path in folder.iterdir() if path.is_file())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    fingerprint.check_config(config)
    template = _try_template(folder)
    weights = sorted(folder.glob("*.safetensors"))
    total = sum(path.stat().st_size for path in weights)
    parts = hashing.base_parts(folder, tell=_Told(total))
    text = config.get("text_config") or config
    return {
        "parts": parts,
        "fingerprint": fingerprint.of(parts),
        "architecture": config["architectures"][0],
        "parameters": sum(_parameters(path) for path in weights),
        "context_length": int(text.get("max_position_embeddings") or text.get("n_positions") or 0),
        "vocab_size": int(text.get("vocab_size") or 0),
        "size_bytes": total,
        "licence": _licence(folder),
        "shape": {
            "hidden": int(text.get("hidden_size") or text.get("n_embd") or 0),
            "layers": int(text.get("num_hidden_layers") or text.get("n_layer") or 0),
            "heads": int(text.get("num_attention_heads") or text.get("n_head") or 1),
        },
        "template": template,
    }


class _Told:
    """Progress in bytes, told about a hundred times at most."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.told = max(total, 1), 0, 0

    def __call__(self, count: int) -> None:
        self.done += count
        if self.done - self.told >= self.total / 100:
            self.told = self.done
            emit("progress", phase="hashing", done=min(self.done, self.total), total=self.total)


def _parameters(path: Path) -> int:
    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        header = file.read(min(length, adapters.HEADER_LIMIT))
    return adapters.parameters(adapters.read_header(first + header, path.stat().st_size))


def _try_template(folder: Path) -> str:
    """“none”, “plain”, or “marked” when the template says which words are the assistant's.

    A template is a program, and compiling it may already run parts of it: so all of this happens in a limited fork.
    """

    def trial() -> str:
        chat = ChatTokenizer(folder)
        if chat.template is None:
            return "none"
        chat.render(TRIAL)
        chat.render(TRIAL[:1], ask=True)
        return "marked" if chat.marks_answers else "plain"

    try:
        return str(apart.apart(trial, cpu_seconds=TRIAL_SECONDS, memory_bytes=TRIAL_BYTES))
    except Refused as problem:
        if problem.code not in {"template", "template_limit"}:
            raise
        raise EngineError(
            f"The chat template cannot show a plain question and answer: {problem}", code="template"
        ) from problem


def _licence(folder: Path) -> str:
    """The licence that the model card names; empty when it names none."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace")[:20_000] if card.exists() else ""
    front = text.split("---")[1] if text.startswith("---") and text.count("---") > 1 else ""
    found = re.search(r"^license:\s*[\"']?([\w .+/-]{1,80})", front, re.MULTILINE)
    return found.group(1).strip() if found else ""


if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine.fingerprint SPEC.json"))
