"""What a dataset is for, and what kinds of rows a version can hold."""

from enum import StrEnum


class Purpose(StrEnum):
    TRAINING = "training"
    GOLDEN = "golden"
    RETENTION = "retention"


class Kind(StrEnum):
    SFT = "sft"
    PREFERENCE = "preference"
    TEXT = "text"


PURPOSE_HELP = {
    Purpose.TRAINING: "Rows an adapter learns from.",
    Purpose.GOLDEN: "Held-out rows with the right answer, never trained on. They decide whether an adapter is better.",
    Purpose.RETENTION: "General text or chats. Loss on them shows what an adapter has forgotten.",
}
