"""Why runs fail, in plain words, what to do about each, and whether the same again would help.

`python -m training.domain.failures` prints docs/failures.md; a test keeps the two equal.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Retry(StrEnum):
    """What the same again would bring."""

    MAY_HELP = "may help"
    ONCE_MENDED = "once mended"
    SAME_AGAIN = "fails again"


SENTENCES = {
    Retry.MAY_HELP: "A retry may help by itself.",
    Retry.ONCE_MENDED: "Retry once that is mended.",
    Retry.SAME_AGAIN: "A retry would fail the same way.",
}


class Look(StrEnum):
    """Where a person looks for the cause."""

    DATA = "data"
    BASE = "base"
    WORKERS = "workers"
    LOG = "log"


@dataclass(frozen=True)
class Failure:
    code: str
    title: str
    advice: str
    retry: Retry = Retry.ONCE_MENDED
    look: Look = Look.LOG

    @property
    def retry_sentence(self) -> str:
        return SENTENCES[self.retry]


HELPS, MENDED, AGAIN = Retry.MAY_HELP, Retry.ONCE_MENDED, Retry.SAME_AGAIN
DATA, BASE, WORKERS, LOG = Look.DATA, Look.BASE, Look.WORKERS, Look.LOG
_ALL = (
    # Memory and numbers
    ("oom", "The device ran out of memory.",
     "Halve “Rows at once” and double “Gradient accumulation”, lower the longest row, or load the base in 4 bits. "
     "Where the base itself did not fit, take several cards, which then share its weights.",
     AGAIN, LOG),
    ("will_not_fit", "The longest rows do not fit into memory.",
     "Lower “Rows at once” and raise “Gradient accumulation” by as much, lower the longest row, or drop that row.",
     AGAIN, DATA),
    ("nan_loss", "The loss stopped being a number.",
     "Lower the learning rate (a third is a good first try) and look for broken rows in the dataset.", AGAIN, DATA),
    ("adapter_invalid", "The adapter that came out is not sound.",
     "Its weights are not finite or files are missing. Lower the learning rate and start a new run.", AGAIN, LOG),
    # Rows and templates
    ("template", "The base model's chat template could not show a row.",
     "Open the row named below: its roles or their order do not suit this model. Fix it or choose another base.",
     AGAIN, DATA),
    ("template_limit", "The base model's chat template takes too much time or memory.",
     "No honest template does. Fetch the model again from its maker, or choose another base.", AGAIN, BASE),
    ("template_forbidden", "The base model's chat template tries what a template may not.",
     "Do not use this model: its template reaches for the machine it runs on. Fetch it again from its maker.",
     AGAIN, BASE),
    ("no_template", "The base model has no chat template.",
     "Choose an instruct version of the model, or a dataset of plain text.", AGAIN, BASE),
    ("no_trained_tokens", "Not one token of the data would be trained on.",
     "Every row's answer is empty or lies beyond the longest row. Raise it, or fix the data.", AGAIN, DATA),
    ("answer_cut", "Some rows are longer than the longest row allowed.",
     "Raise the longest row, or decide to leave those rows out or to cut them.", AGAIN, DATA),
    ("wrong_kind", "The method does not fit the dataset.",
     "DPO needs preference rows (chosen and rejected); SFT needs chats or plain text.", AGAIN, DATA),
    ("data_changed", "The dataset's file is not the one that was frozen in the run.",
     "The stored file is damaged. Restore it from a backup, or make the version again.", MENDED, DATA),
    ("data_missing", "The dataset's file cannot be read.",
     "Restore the stored file from a backup, or make the version again.", MENDED, DATA),
    ("artefact_damaged", "A stored file is missing or is not what was stored.",
     "Restore it from a backup, or make it again. Nothing damaged is ever trained on.", MENDED, DATA),
    # The base model and the adapter to go on from
    ("base_changed", "The base model on disk is not the one that was registered.",
     "Restore the original files, or register the changed model as a new version.", MENDED, BASE),
    ("base_missing", "The base model's files are gone.",
     "Put them back under the models folder, or register the base again.", MENDED, BASE),
    ("incomplete_model", "The directory is no complete model.",
     "It needs config.json, tokenizer.json and safetensors weights.", MENDED, BASE),
    ("damaged_weights", "A weights file is not what a whole safetensors file is.",
     "Fetch the file again and compare its checksum with that of its source.", MENDED, BASE),
    ("damaged_config", "A file that describes the model cannot be understood.",
     "Fetch the model again from its source, or repair the file named below.", MENDED, BASE),
    ("unsafe_path", "The model leads to files outside of its folder.",
     "Put the files themselves into the folder, without links, and try again.", MENDED, BASE),
    ("custom_code", "The model wants to run code of its own.",
     "Luthier never does that. Choose a model that transformers supports by itself.", AGAIN, BASE),
    ("only_safetensors", "The model's weights are not safetensors files.", "Convert the model to safetensors first.",
     MENDED, BASE),
    ("hub_unreachable", "The model hub did not answer.",
     "Check the network of the worker, or copy the model into the models folder and register it from there.",
     MENDED, WORKERS),
    ("hub_gated", "The model hub shows this model only to those who have accepted its terms.",
     "Accept them on the hub, give the worker the token of that account as HF_TOKEN, and try again.", MENDED, WORKERS),
    ("revision_not_found", "The hub has no such model or revision.",
     "Check the id and the revision; a commit hash is safest.", AGAIN, BASE),
    ("parent_mismatch", "The adapter to go on from does not fit this base.",
     "Choose an adapter that was trained on exactly this base-model version.", AGAIN, BASE),
    # Settings
    ("bad_spec", "The engine was given a spec it cannot read.",
     "The worker and the web side may run different versions. Update both and start a new run.", MENDED, WORKERS),
    ("bad_recipe", "A setting of the recipe is outside its range.",
     "Correct the setting named below and start a new run.", AGAIN, LOG),
    ("too_many_steps", "The run would take more steps than any run may.",
     "Lower the epochs or take more rows a step, and start a new run.", AGAIN, LOG),
    ("beyond_context", "The longest row is longer than the base model can see.",
     "Lower the longest row, or choose a base with a longer context.", AGAIN, BASE),
    ("rank_beyond_layer", "The LoRA rank is larger than a layer that it adapts.",
     "Lower the rank, or adapt the larger layers only.", AGAIN, BASE),
    ("unknown_module", "The base model has no layer of that name.",
     "Use “all-linear”, or look up the layer names of this model.", AGAIN, BASE),
    ("no_quantiser", "4-bit loading is not available on this worker.",
     "Install bitsandbytes on the worker, or switch 4-bit off.", MENDED, WORKERS),
    # Workers, disks and devices
    ("no_device", "The worker has no such device.", "Start a worker with a GPU, or run on the CPU.", MENDED, WORKERS),
    ("rank_lost", "One of the processes of a run on several cards is gone.",
     "Retry once. If it comes back, look for lack of memory on the host, take the card that is named out of service, "
     "or train on fewer cards.", HELPS, WORKERS),
    ("device_error", "The GPU reported an error.",
     "Retry once. If it comes back, take the card out of service and check it.", HELPS, WORKERS),
    ("disk_full", "The worker's disk is full.",
     "Free some space on the worker and start again; the last whole checkpoint is kept.", MENDED, WORKERS),
    ("disk_error", "The worker's disk would not read or write a file.",
     "Check the disk of the worker and the rights on its folders; the last whole checkpoint is kept.",
     MENDED, WORKERS),
    ("storage_failed", "The worker could not prepare its files.",
     "Check the disk of the worker: free space and rights. Then retry.", MENDED, WORKERS),
    ("worker_lost", "The worker disappeared while it was working.",
     "Nothing: the run goes on by itself from its newest whole checkpoint.", HELPS, WORKERS),
    ("host_stopped", "The worker's host was stopped in good order.",
     "Nothing: what was done is saved, and the run goes on as soon as a worker is there.", HELPS, WORKERS),
    ("stalled", "The training process stopped saying anything.",
     "Nothing at first: it was ended and goes on from its checkpoint. If it comes back, check the card and the disk.",
     HELPS, WORKERS),
    ("killed", "The training process was killed from outside.",
     "Most often the system was out of memory. Make the run smaller or give the worker more memory, then retry.",
     HELPS, WORKERS),
    ("infra_quarantined", "Three workers in a row were lost during this run.",
     "Something in this run kills its worker, most often memory. Look at the log, make the run smaller, then retry.",
     MENDED, WORKERS),
    ("grace_over", "It was paused before it could save.",
     "Resume it: it goes on from the checkpoint before. The operator can give it more time to save.", HELPS, WORKERS),
    ("no_checkpoint", "The chosen checkpoint cannot be used.",
     "Retry from another checkpoint, or from the start.", HELPS, LOG),
    ("superseded", "A newer attempt has taken over this run.",
     "Nothing, if another attempt is running. If the database was restored from a backup, start a new run.",
     AGAIN, WORKERS),
    ("cpu_limit", "It used more processor time than it may.",
     "Make it smaller, or ask the operator for a higher limit.", AGAIN, LOG),
    ("file_limit", "It wrote a larger file than it may.",
     "Lower the LoRA rank, or ask the operator for a higher limit.", AGAIN, LOG),
    # Faults of the product
    ("crashed", "The training process ended unexpectedly.",
     "Read the end of the log below. If it says nothing, retry once.", HELPS, LOG),
    ("no_result", "The training process ended without a result.",
     "The worker and the web side may run different versions. Update both, then retry.", MENDED, WORKERS),
    ("internal", "Something in the engine broke.",
     "This is a fault of Luthier's. The traceback is below; please report it.", HELPS, LOG),
)  # fmt: skip
FAILURES = {row[0]: Failure(*row) for row in _ALL}


def explain(code: str) -> Failure:
    """The failure in words; an unknown code still gets an answer."""
    return FAILURES.get(code) or Failure(
        code, "The work did not finish.", "Read the message and the end of the log, then retry.", Retry.MAY_HELP
    )


_SITE_PACKAGES = re.compile(r"(?:/[\w.+~-]+)+/(?:site|dist)-packages/")
_LIBRARY = re.compile(r"(?:/[\w.+~-]+)+/lib/python3\.\d+/")


def shorten(text: str) -> str:
    """A traceback without the places of the machine it happened on: files are named as the packages name them."""
    text = _LIBRARY.sub("python/", _SITE_PACKAGES.sub("", text))
    return text.replace(f"{Path(__file__).parents[2]}/", "")


def as_markdown() -> str:
    head = (
        "# Why runs fail\n\n"
        "Written by `python -m training.domain.failures`; codes are stable, their wording may improve. A failed run's "
        "page says the\nsame with the step, the row and buttons for what to do next; the API gives it as `failure`.\n\n"
        "| code | what happened | what to do | a retry |\n| --- | --- | --- | --- |\n"
    )
    return head + "".join(f"| `{one.code}` | {one.title} | {one.advice} | {one.retry} |\n" for one in FAILURES.values())


if __name__ == "__main__":
    print(as_markdown(), end="")
