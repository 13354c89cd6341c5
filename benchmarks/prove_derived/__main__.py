"""make prove-derived: an adapter, the same merged into its base, in INT8 and in INT4, side by side on a golden set.

An adapter is trained for real and learns what its base cannot do. Models are made of it by the engine and each answers
the golden set beside the adapter on its base; then files are spoilt in ways that checksums would not tell, and honest
ones are loaded again and again. The last line is {"adapter", "merged", "int8", "int4", "sizes", "verdicts", …}.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.prove_derived.loads import ALL, FAULTS, Loads
from benchmarks.prove_derived.models import GOLDEN, MARGIN, Event, Models
from evaluation.domain import equivalence
from training.domain.derived import Kind

HONEST = 10


def table(models: Models, found: dict[Kind, Event]) -> None:
    size = sum(path.stat().st_size for path in models.base.glob("*.safetensors"))
    print(f"\n{'':10}{'exact':>8}{'95 %':>16}{'difference':>12}{'95 %':>18}{'bytes':>12}{'load s':>8}  verdict")
    for kind, event in found.items():
        lead, seconds = event["figures"]["graders"]["exact_match"], event["seconds"]
        if kind is Kind.MERGED:
            print(_row("adapter", lead, "adapter", size + _bytes(models.adapter), seconds["load_adapter"], ""))
        verdict = equivalence.verdict(lead, "exact_match", MARGIN).headline
        print(_row(kind.value, lead, "derived", models.results[kind]["size_bytes"], seconds["load_derived"], verdict))
    print(flush=True)


def _row(name: str, lead: Event, arm: str, size: int, seconds: float, verdict: str) -> str:
    level = f"[{lead[f'{arm}_low']:.3f}, {lead[f'{arm}_high']:.3f}]"
    band = f"[{lead['low']:+.3f}, {lead['high']:+.3f}]"
    gap = f"{lead['difference']:+12.3f}{band:>18}" if arm == "derived" else " " * 30
    return f"{name:10}{lead[arm]:8.3f}{level:>16}{gap}{size:12,}{seconds:8.2f}  {verdict}"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def main(honest: int = HONEST) -> int:
    import torch

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luthier-derived-") as name:
        models = Models(Path(name))
        for kind in ALL:
            models.make(kind)
            print(
                f"{kind.value}: made in {models.results[kind]['seconds']} s, {models.results[kind]['facts']['figures']}"
            )
        found = {kind: models.evaluate(kind) for kind in ALL}
        table(models, found)
        loads = Loads(models)
        said = {fault: [getattr(loads, fault)(kind) for kind in kinds] for fault, (_, kinds) in FAULTS.items()}
        for fault, codes in said.items():
            print(f"{fault}: {', '.join(code or 'NOT NOTICED' for code in codes)}", flush=True)
        alarms = []
        for n in range(honest):
            torch.set_num_threads(1 + n % 2)
            alarms += [code for kind in ALL for code in [loads.honest(kind)] if code]
        print(f"honest loads: {honest * len(ALL)}, alarms: {', '.join(alarms) or 'none'}", flush=True)
        told = _told(models, found, said, alarms, honest)
    told["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(told))
    return int(told["named"] != told["planted"] or bool(alarms))


def _told(
    models: Models, found: dict[Kind, Event], said: dict[str, list[str]], alarms: list[str], honest: int
) -> Event:
    leads = {kind: event["figures"]["graders"]["exact_match"] for kind, event in found.items()}
    wanted = {fault: code for fault, (code, _) in FAULTS.items()}
    base = sum(path.stat().st_size for path in models.base.glob("*.safetensors"))
    return {
        "adapter": leads[Kind.MERGED]["adapter"],
        **{kind.value: lead["derived"] for kind, lead in leads.items()},
        "intervals": {kind.value: [lead["low"], lead["high"]] for kind, lead in leads.items()},
        "verdicts": {kind.value: event["figures"]["judgement"] for kind, event in found.items()},
        "same_text": {kind.value: event["figures"]["same_text"] for kind, event in found.items()},
        "golden_rows": GOLDEN,
        "sizes": {
            "base": base,
            "adapter": _bytes(models.adapter),
            **{kind.value: models.results[kind]["size_bytes"] for kind in ALL},
        },
        "effect_kept": {kind.value: models.results[kind]["proof"]["kept"] for kind in ALL},
        "planted": sum(map(len, said.values())),
        "named": sum(code == wanted[fault] for fault, codes in said.items() for code in codes),
        "honest_loads": honest * len(ALL),
        "false_alarms": len(alarms),
    }


if __name__ == "__main__":
    sys.exit(main())
