"""Every knob of a recipe: its range, its default, and a plain explanation."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Method(StrEnum):
    SFT = "sft"
    DPO = "dpo"


class Cut(StrEnum):
    """What to do with a row that is longer than `max_length`."""

    REFUSE = "refuse"
    DROP = "drop"
    CUT = "cut"


BOTH = frozenset(Method)
ALL_LINEAR = "all-linear"
# Names of linear layers in the model families PEFT knows; anything else is a typing error or an attack.
MODULES = (
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj",
    "c_attn", "c_proj", "c_fc", "query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", "fc1", "fc2",
    "out_proj", "in_proj",
)  # fmt: skip
SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup")


@dataclass(frozen=True)
class Knob:
    """One field of the recipe, as the form shows it and the reader checks it."""

    name: str
    label: str
    help: str
    kind: str  # "int", "float", "choice", "bool" or "modules"
    default: Any
    low: float = 0
    high: float = 0
    choices: tuple[tuple[str, str], ...] = ()
    methods: frozenset[Method] = BOTH
    expert: bool = False


KNOBS: tuple[Knob, ...] = (
    Knob(
        "method",
        "Method",
        "SFT shows the model good answers. DPO shows it pairs, one answer preferred to the other.",
        "choice",
        "sft",
        choices=(("sft", "SFT: learn from answers"), ("dpo", "DPO: learn from preferences")),
    ),
    Knob(
        "epochs",
        "Epochs",
        "How often the run goes through all rows. More than about 5 tends to learn by heart.",
        "float",
        3,
        0.01,
        100,
    ),
    Knob(
        "learning_rate",
        "Learning rate",
        "How big each step is. Too high and the loss jumps or turns to NaN; too low and nothing is learned.",
        "float",
        2e-4,
        1e-8,
        0.1,
    ),
    Knob(
        "rank",
        "LoRA rank",
        "How much the adapter can hold. 8 to 32 suits most tasks; more costs memory.",
        "int",
        16,
        1,
        512,
    ),
    Knob(
        "alpha",
        "LoRA alpha",
        "How strongly the adapter speaks: alpha divided by rank. Twice the rank is a good start.",
        "int",
        32,
        1,
        2048,
    ),
    Knob(
        "dropout",
        "LoRA dropout",
        "Share of the adapter switched off at random while training; a little helps on small data.",
        "float",
        0.0,
        0.0,
        0.9,
        expert=True,
    ),
    Knob(
        "target_modules",
        "Layers to adapt",
        "“all-linear” adapts every linear layer and is nearly always best. Or name layers, separated by commas.",
        "modules",
        ALL_LINEAR,
        expert=True,
    ),
    Knob(
        "batch_size",
        "Rows at once",
        "Rows in memory at the same time. Lower it when memory runs out.",
        "int",
        8,
        1,
        1024,
    ),
    Knob(
        "accumulation",
        "Gradient accumulation",
        "Batches added up before each step. Rows at once × this = rows a step.",
        "int",
        1,
        1,
        1024,
        expert=True,
    ),
    Knob(
        "max_length",
        "Longest row in tokens",
        "Rows longer than this are handled as you choose below. Longer costs memory.",
        "int",
        1024,
        16,
        131_072,
    ),
    Knob(
        "cut",
        "Rows that are too long",
        "A cut answer teaches the model to stop in the middle, so nothing is ever cut without your decision.",
        "choice",
        "refuse",
        choices=(
            ("refuse", "Do not start"),
            ("drop", "Leave these rows out"),
            ("cut", "Cut them, answers too"),
        ),
    ),
    Knob(
        "warmup",
        "Warm-up",
        "Share of the steps over which the learning rate rises to its full size.",
        "float",
        0.03,
        0.0,
        0.5,
        expert=True,
    ),
    Knob(
        "scheduler",
        "Learning-rate curve",
        "How the learning rate falls after the warm-up. Cosine is a good default.",
        "choice",
        "cosine",
        choices=tuple((name, name.replace("_", " ")) for name in SCHEDULERS),
        expert=True,
    ),
    Knob(
        "packing",
        "Pack short rows together",
        "Puts several short rows into one sequence, kept apart from each other. Faster when rows are short.",
        "bool",
        False,
        methods=frozenset({Method.SFT}),
        expert=True,
    ),
    Knob(
        "beta",
        "DPO beta",
        "How closely the model must stay to where it started: 0.1 is usual, higher stays closer.",
        "float",
        0.1,
        0.001,
        10,
        methods=frozenset({Method.DPO}),
    ),
    Knob(
        "seed",
        "Seed",
        "Same spec, same seed, same machine: same adapter.",
        "int",
        0,
        0,
        2**32 - 1,
        expert=True,
    ),
    Knob(
        "checkpoint_steps",
        "Checkpoint every … steps",
        "0 saves every five minutes. A lost worker costs at most this much work.",
        "int",
        0,
        0,
        1_000_000,
        expert=True,
    ),
    Knob(
        "pace",
        "Forward pass",
        "Fast when it can be: no padding, fewer passes, the same numbers. Or the library's own, to compare with.",
        "choice",
        "auto",
        choices=(("auto", "Fast when it can be"), ("fast", "Fast, on a CPU too"), ("library", "The library's own")),
        expert=True,
    ),
    Knob(
        "recompute",
        "Activations",
        "Computing them again saves memory and costs a third of the time; by itself only when they would not fit.",
        "choice",
        "auto",
        choices=(("auto", "Keep them if they fit"), ("always", "Compute them again"), ("never", "Always keep them")),
        expert=True,
    ),
    Knob(
        "devices",
        "Cards",
        "Cards of one host that share each step's rows: the same result in less time. The rows a step do not change.",
        "int",
        1,
        1,
        16,
        expert=True,
    ),
    Knob(
        "sharding",
        "Weights on several cards",
        "Each card holds the whole base where it fits, which is fastest; else the cards share it and fetch each layer "
        "when it is needed.",
        "choice",
        "auto",
        choices=(
            ("auto", "Shared where they do not fit"),
            ("replicate", "Each card holds all of them"),
            ("shard", "Shared among the cards"),
        ),
        expert=True,
    ),
    Knob(
        "four_bit",
        "4-bit base (QLoRA)",
        "Loads the base in 4 bits: a quarter of the memory, a little slower. Needs bitsandbytes on the worker.",
        "bool",
        False,
        expert=True,
    ),
)
KNOB = {knob.name: knob for knob in KNOBS}
# DPO pulls much harder per step than SFT does.
DPO_DEFAULTS = {"learning_rate": 1e-5, "epochs": 1, "beta": 0.1}
