"""python -m training.engine.adapter_import SPEC: what an adapter is that was trained elsewhere, without loading it.

All that is wrong is found in one go and told as one event, so that nobody mends an adapter in ten attempts.
"""

import json
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from projects.domain.errors import Invalid
from training.domain import adapter_config, adapters, integrity, model_card, safetensors
from training.domain.documents import BadDocument, read_object
from training.domain.findings import Finding, refusing, told
from training.domain.fingerprint import TEMPLATE_FILE
from training.domain.matching import Candidate, Match, NoBase, match
from training.engine import hashing, sketch, unpacking, weights
from training.engine.adapter import TOKENIZER_FILES, manifest_of
from training.engine.events import EngineError, emit, run_child
from training.engine.watch import die_with_parent

TOLD = ("base_model_name_or_path", "revision", "peft_version", "target_modules", "use_rslora")


def main(spec_path: str) -> None:
    spec = json.loads(Path(spec_path).read_text())
    die_with_parent()
    emit("started", device="cpu", device_name="", total=3)
    work, out = Path(spec["work_dir"]), Path(spec["out_dir"])
    shutil.rmtree(work, ignore_errors=True)
    emit("progress", phase="unpacking", done=0, total=3)
    findings = unpacking.unpacked(Path(spec["source"]), work, spec["most_bytes"])
    _tell(findings, {})
    emit("progress", phase="reading", done=1, total=3)
    reading = Reading(work, spec)
    reading.read()
    _tell(reading.findings, reading.declared)
    emit("progress", phase="writing", done=2, total=3)
    emit("result", **reading.write(out))


def _tell(findings: list[Finding], declared: dict[str, Any]) -> None:
    """All of them; and if one of them keeps the adapter out, that is the end."""
    emit("findings", findings=[found.as_dict() for found in findings], declared=declared)
    if wrong := refusing(findings):
        raise EngineError(told(wrong), code=wrong[0].code)


class Reading:
    """One adapter: its config, the base it belongs to, its weights. `findings` grows with every step."""

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        self.folder, self.spec = folder, spec
        self.findings: list[Finding] = []
        self.config: dict[str, Any] = {}
        self.match: Match | None = None
        known = {item.name for item in fields(Candidate)}
        self.places = {one["id"]: one for one in spec["candidates"]}
        self.candidates = [Candidate(**{k: v for k, v in one.items() if k in known}) for one in spec["candidates"]]

    @property
    def declared(self) -> dict[str, Any]:
        """What the config says of its base and its making, as far as it can be trusted to be what it seems."""
        return {key: self.config[key] for key in TOLD if self.config.get(key) not in (None, "")} if self.config else {}

    @property
    def base_folder(self) -> Path | None:
        return Path(self.places[self.match.base.id]["path"]) if self.match else None

    def read(self) -> None:
        config, wrong = adapter_config.read((self.folder / adapters.CONFIG).read_bytes())
        self.findings += wrong
        if not wrong:
            self.config = config
            self._find_base()
            self.findings += adapter_config.about_serving(config["r"])
        self._read_weights()
        self._compare_manifest()

    def _find_base(self) -> None:
        try:
            self.match = match(self.config, self.candidates, self.spec["chosen"])
        except NoBase as missing:
            self.findings.append(Finding(missing.code, missing.message, "base"))
            return
        self.findings += self.match.findings
        folder, parts = self.base_folder, self.places[self.match.base.id]["parts"]
        assert folder is not None
        if not folder.is_dir() or hashing.differences(folder, parts, full=False):
            text = f"The files of {self.match.base.name} are not those that were registered. Restore them."
            self.findings.append(Finding("base_changed", text, "base"))
            self.match = None
            return
        self._compare_tokenizer(folder)

    def _compare_tokenizer(self, base: Path) -> None:
        """It is served with its base's; one that it was trained with may be another."""
        for code, names in (("tokenizer_differs", ("tokenizer.json",)), ("template_differs", (TEMPLATE_FILE,))):
            for name in names:
                mine, theirs = self.folder / name, base / name
                if mine.exists() and (not theirs.exists() or mine.read_bytes() != theirs.read_bytes()):
                    text = f"Its own {name} is not that of the base, with which it would be evaluated and served."
                    self.findings.append(Finding(code, text, name, refuses=False))

    def _read_weights(self) -> None:
        path = self.folder / adapters.WEIGHTS
        try:
            if not self.config:
                weights.header_of(path, most=weights.ADAPTER_HEADER)
                return
            base = weights.base_shapes(self.base_folder) if self.base_folder else None
            self.findings += weights.adapter_findings(path, self.config, base)
        except Invalid as damaged:
            self.findings.append(Finding(damaged.code, damaged.message, adapters.WEIGHTS))

    def _compare_manifest(self) -> None:
        """An adapter that was exported here brings the sums of its files."""
        path = self.folder / adapters.MANIFEST
        if not path.exists():
            return
        try:
            listed = read_object(path.read_bytes(), most_bytes=unpacking.MOST_BYTES[adapters.MANIFEST])["files"]
            wrong = [name for name, entry in listed.items() if not self._has(name, entry["sha256"])]
        except (BadDocument, KeyError, TypeError, AttributeError):
            wrong = [adapters.MANIFEST]
        for name in wrong:
            text = f"{name[:120]} is not the file that {adapters.MANIFEST} lists. Fetch the adapter again."
            self.findings.append(Finding("checksum_mismatch", text, name[:120]))

    def _has(self, name: str, sha256: str) -> bool:
        if name not in adapters.FILES:
            return False
        path = self.folder / name
        return path.is_file() and hashing.sha256_file(path) == sha256

    def write(self, out: Path) -> dict[str, Any]:
        """The directory as it is kept: its weights, and around them only what has been understood."""
        assert self.match is not None and self.base_folder is not None
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        base = self.match.base
        header = weights.header_of(self.folder / adapters.WEIGHTS, most=weights.ADAPTER_HEADER)
        (self.folder / adapters.WEIGHTS).rename(out / adapters.WEIGHTS)
        config = adapter_config.canonical(
            self.config,
            base=self.places[base.id]["shown_as"],
            revision=base.revision or base.fingerprint,
            target_modules=integrity.target_modules(safetensors.shapes(header)),
        )
        (out / adapters.CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        for name in TOKENIZER_FILES:
            if (self.base_folder / name).exists():
                shutil.copyfile(self.base_folder / name, out / name)
        (out / adapters.CARD).write_text(self._card(config), encoding="utf-8")
        files = manifest_of(out)
        return {
            "base": base.id,
            "proof": self.match.proof.value,
            "declared": self.declared | {"parameters": safetensors.parameters(header)},
            "findings": [found.as_dict() for found in self.findings],
            "adapter": {
                "files": files,
                "rank": config["r"],
                "alpha": config["lora_alpha"],
                "size_bytes": sum(entry["size"] for entry in files.values()),
                "anatomy": sketch.of_file(out / adapters.WEIGHTS, config),
            },
        }

    def _card(self, config: dict[str, Any]) -> str:
        """A card of ours, and below it the one that came along, as quoted text."""
        base = self.match.base if self.match else None
        front = model_card.front_matter(
            base=config["base_model_name_or_path"],
            relation="adapter",
            library="peft",
            tags=["lora"],
            licence=self.places[base.id].get("licence", "") if base else "",
        )
        facts = {
            "Base model": f"`{config['base_model_name_or_path']}`",
            "Base revision": f"`{config['revision']}`",
            "Proof of the base": self.match.proof.value if self.match else "",
            "Method": f"LoRA rank {config['r']}, alpha {config['lora_alpha']}",
            "Comes from": self.spec["origin"],
        }
        words = "A LoRA adapter that was trained elsewhere and imported. Use it with exactly the base model named here."
        return model_card.render(front, self.spec["name"], words, facts, self._own_card())

    def _own_card(self) -> str:
        path = self.folder / adapters.CARD
        if not path.exists():
            return ""
        text = path.read_text(encoding="utf-8", errors="replace").replace("\x00", "")
        quoted = "\n".join(f"> {line}" for line in text.splitlines())
        return f"\n## The card it came with\n\n{quoted}\n"


if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine.adapter_import SPEC.json"))
