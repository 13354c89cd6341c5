"""Points of the faults that are not reached by themselves, or not by every process."""

# Points that need somebody to do something first.
NEEDS = {
    "leases.cancel_written": "cancel", "supervision.before_stop": "cancel",
    "pausing.wish_written": "pause", "pausing.rested": "pause", "pausing.resumed": "pause",
    "supervision.before_pause": "pause",
    "checkpoints.before_restart": "again",
    "leases.handed_back": "term", "supervision.before_fail": "fail",
    "leases.before_give_back": "lose", "leases.loss_written": "lose", "leases.lost_requeued": "lose",
    "reconciler.given_back": "lose",
    "artefacts.part_written": "upload", "artefacts.part_renamed": "upload", "artefacts.before_seal": "upload",
    "artefacts.sealed": "upload", "incoming.part_kept": "upload", "incoming.closed": "upload",
    "versions.written": "upload", "artefacts.before_delete": "upload",
}  # fmt: skip
# Passed by a process of its own that is tried apart, in benchmarks.chaos.release.
APART = {"release.filled", "release.before_switch", "release.switched"}
ENGINE = ("checkpoints.", "engine.")
