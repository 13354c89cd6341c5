"""Cards that share the weights of the base (FSDP), beside one card and cards that have all of them (DDP)."""

import argparse
import json
import os
from typing import Any

Events = list[dict[str, Any]]


def compare(bench: Any, given: argparse.Namespace) -> dict[str, Any]:
    """All three on the same rows in the same order; with `card_gib`, what does not fit and what does."""
    os.environ["LUTHIER_ENGINE_CARD_BYTES"] = str(int(given.card_gib * 2**30))
    ways = {
        "one": {"devices": 1},
        "ddp": {"devices": given.devices, "sharding": "replicate"},
        # On small cards it has to find out by itself.
        "fsdp": {"devices": given.devices, "sharding": "auto" if given.card_gib else "shard"},
    }
    found: dict[str, Any] = {"shape": given.shape, "devices": given.devices, "rows": given.rows}
    if given.card_gib:
        found["card_gib"] = given.card_gib
    runs: dict[str, Events] = {}
    for name, recipe in ways.items():
        common = {"pace": bench.pace, "batch_size": given.rows, "learning_rate": 3e-4, "method": given.method}
        events = bench.run(name, given.steps, may_fail=bool(given.card_gib) and name != "fsdp", **common, **recipe)
        if _of(events, "failed"):
            failed = _of(events, "failed")[0]
            found[name] = {"failed": failed["code"], "message": failed["message"], "where": failed["where"]}
        else:
            runs[name], found[name] = events, _figures(events)
        print(json.dumps({name: found[name]}, ensure_ascii=False), flush=True)
    return found | _beside(found, runs)


def _figures(events: Events) -> dict[str, Any]:
    from benchmarks.lora import speed

    result, pace = _of(events, "result")[0], _of(events, "pace")[0]
    return {
        "tok_s": round(speed(events)),
        "peak_gib": [round(peak / 2**30, 2) for peak in result["memory_by_card"]],
        "path": pace["path"],
        "sharded": pace["sharded"],
        "tokens_at_once": pace["tokens"],
        "recompute": pace["recompute"],
        "stages": {name: round(seconds, 1) for name, seconds in result["stages"].items()},
    }


def _beside(found: dict[str, Any], runs: dict[str, Events]) -> dict[str, Any]:
    """How much faster than one card, and how far the losses are from its and from those of cards with all weights."""
    from benchmarks.lora import apart, losses

    more: dict[str, Any] = {}
    if "one" in runs:
        one = found["one"]["tok_s"]
        more["speed_up"] = {name: round(found[name]["tok_s"] / one, 3) for name in ("ddp", "fsdp") if name in runs}
    pairs = [("one", "ddp"), ("one", "fsdp"), ("ddp", "fsdp")]
    more["curve_apart"] = {
        f"{first} {second}": apart(losses(runs[first]), losses(runs[second]))
        for first, second in pairs
        if first in runs and second in runs
    }
    more["losses"] = {name: [round(loss, 5) for loss in losses(events).values()][::5] for name, events in runs.items()}
    return more


def _of(events: Events, name: str) -> Events:
    return [event for event in events if event["event"] == name]
