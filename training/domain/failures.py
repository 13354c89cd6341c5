"""Why runs fail, in plain words, and what to do about each."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    code: str
    title: str
    advice: str


_ALL = (
    Failure(
        "oom",
        "The device ran out of memory.",
        "Halve “Rows at once” and double “Gradient accumulation”, lower the longest row, or load the base in 4 bits.",
    ),
    Failure(
        "will_not_fit",
        "The longest rows do not fit into memory.",
        "Lower “Rows at once” and raise “Gradient accumulation” by as much, lower the longest row, or drop that row.",
    ),
    Failure(
        "nan_loss",
        "The loss stopped being a number.",
        "Lower the learning rate (a third is a good first try) and look for broken rows in the dataset.",
    ),
    Failure(
        "template",
        "The base model's chat template could not show a row.",
        "Open the row named below: its roles or their order do not suit this model. Fix it or choose another base.",
    ),
    Failure(
        "template_limit",
        "The base model's chat template takes too much time or memory.",
        "No honest template does. Fetch the model again from its maker, or choose another base.",
    ),
    Failure(
        "template_forbidden",
        "The base model's chat template tries what a template may not.",
        "Do not use this model: its template reaches for the machine it runs on. Fetch it again from its maker.",
    ),
    Failure(
        "no_template",
        "The base model has no chat template.",
        "Choose an instruct version of the model, or a dataset of plain text.",
    ),
    Failure(
        "disk_full",
        "The worker's disk is full.",
        "Free some space on the worker and start again; the last whole checkpoint is kept.",
    ),
    Failure(
        "worker_lost",
        "The worker disappeared while it was working.",
        "Retry: the run goes on from its newest whole checkpoint.",
    ),
    Failure(
        "infra_quarantined",
        "Three workers in a row were lost during this run.",
        "Something in this run kills its worker, most often memory. Look at the log, make the run smaller, then retry.",
    ),
    Failure(
        "no_trained_tokens",
        "Not one token of the data would be trained on.",
        "Every row's answer is empty or lies beyond the longest row. Raise it, or fix the data.",
    ),
    Failure(
        "answer_cut",
        "Some rows are longer than the longest row allowed.",
        "Raise the longest row, or decide to leave those rows out or to cut them.",
    ),
    Failure(
        "base_changed",
        "The base model on disk is not the one that was registered.",
        "Restore the original files, or register the changed model as a new version.",
    ),
    Failure(
        "base_missing",
        "The base model's files are gone.",
        "Put them back under the models folder, or register the base again.",
    ),
    Failure(
        "data_changed",
        "The dataset's file is not the one that was frozen in the run.",
        "The stored file is damaged. Restore it from a backup, or make the version again.",
    ),
    Failure(
        "data_missing",
        "The dataset's file cannot be read.",
        "Restore the stored file from a backup, or make the version again.",
    ),
    Failure(
        "wrong_kind",
        "The method does not fit the dataset.",
        "DPO needs preference rows (chosen and rejected); SFT needs chats or plain text.",
    ),
    Failure(
        "bad_spec",
        "The engine was given a spec it cannot read.",
        "The worker and the web side may run different versions. Update both and start a new run.",
    ),
    Failure(
        "bad_recipe",
        "A setting of the recipe is outside its range.",
        "Correct the setting named below and start a new run.",
    ),
    Failure(
        "too_many_steps",
        "The run would take more steps than any run may.",
        "Lower the epochs or take more rows a step, and start a new run.",
    ),
    Failure(
        "beyond_context",
        "The longest row is longer than the base model can see.",
        "Lower the longest row, or choose a base with a longer context.",
    ),
    Failure(
        "rank_beyond_layer",
        "The LoRA rank is larger than a layer that it adapts.",
        "Lower the rank, or adapt the larger layers only.",
    ),
    Failure(
        "unknown_module",
        "The base model has no layer of that name.",
        "Use “all-linear”, or look up the layer names of this model.",
    ),
    Failure(
        "no_quantiser",
        "4-bit loading is not available on this worker.",
        "Install bitsandbytes on the worker, or switch 4-bit off.",
    ),
    Failure("no_device", "The worker has no such device.", "Start a worker with a GPU, or run on the CPU."),
    Failure(
        "device_error",
        "The GPU reported an error.",
        "Retry once. If it comes back, take the card out of service and check it.",
    ),
    Failure(
        "killed",
        "The training process was killed from outside.",
        "Most often the system was out of memory. Make the run smaller or give the worker more memory, then retry.",
    ),
    Failure(
        "engine_exited",
        "The training process ended without a result.",
        "Read the end of the log below; if it says nothing, retry once.",
    ),
    Failure(
        "too_long",
        "The run took longer than it may.",
        "Make it smaller, or ask the operator for a longer limit.",
    ),
    Failure(
        "parent_mismatch",
        "The adapter to go on from does not fit this base.",
        "Choose an adapter that was trained on exactly this base-model version.",
    ),
    Failure(
        "adapter_invalid",
        "The adapter that came out is not sound.",
        "Its weights are not finite or files are missing. Lower the learning rate and start a new run.",
    ),
    Failure(
        "hub_unreachable",
        "The model hub did not answer.",
        "Check the network of the worker, or copy the model into the models folder and register it from there.",
    ),
    Failure(
        "revision_not_found",
        "The hub has no such model or revision.",
        "Check the id and the revision; a commit hash is safest.",
    ),
    Failure(
        "custom_code",
        "The model wants to run code of its own.",
        "Luthier never does that. Choose a model that transformers supports by itself.",
    ),
    Failure(
        "only_safetensors",
        "The model's weights are not safetensors files.",
        "Convert the model to safetensors first.",
    ),
    Failure(
        "damaged_weights",
        "A weights file is not what a whole safetensors file is.",
        "Fetch the file again and compare its checksum with that of its source.",
    ),
    Failure(
        "damaged_config",
        "A file that describes the model cannot be understood.",
        "Fetch the model again from its source, or repair the file named below.",
    ),
    Failure(
        "unsafe_path",
        "The model leads to files outside of its folder.",
        "Put the files themselves into the folder, without links, and try again.",
    ),
    Failure(
        "incomplete_model",
        "The directory is no complete model.",
        "It needs config.json, tokenizer.json and safetensors weights.",
    ),
    Failure(
        "crashed",
        "The training process ended unexpectedly.",
        "Read the end of the log below. If it says nothing, retry once.",
    ),
    Failure(
        "no_result",
        "The training process ended without a result.",
        "The worker and the web side may run different versions. Update both, then retry.",
    ),
    Failure(
        "cpu_limit",
        "It used more processor time than it may.",
        "Make it smaller, or ask the operator for a higher limit.",
    ),
    Failure(
        "file_limit",
        "It wrote a larger file than it may.",
        "Lower the LoRA rank, or ask the operator for a higher limit.",
    ),
    Failure(
        "storage_failed",
        "The worker could not prepare its files.",
        "Check the disk of the worker: free space and rights. Then retry.",
    ),
    Failure(
        "artefact_damaged",
        "A stored file is missing or is not what was stored.",
        "Restore it from a backup, or make it again. Nothing damaged is ever trained on.",
    ),
    Failure(
        "internal",
        "Something in the engine broke.",
        "This is a fault of Luthier's. The traceback is in the log; please report it.",
    ),
)
FAILURES = {failure.code: failure for failure in _ALL}


def explain(code: str) -> Failure:
    """The failure in words; an unknown code still gets an answer."""
    return FAILURES.get(code) or Failure(
        code, "The work did not finish.", "Read the message and the end of the log, then retry."
    )


_SITE_PACKAGES = re.compile(r"(?:/[\w.+~-]+)+/(?:site|dist)-packages/")
_LIBRARY = re.compile(r"(?:/[\w.+~-]+)+/lib/python3\.\d+/")


def shorten(text: str) -> str:
    """A traceback without the places of the machine it happened on: files are named as the packages name them."""
    text = _LIBRARY.sub("python/", _SITE_PACKAGES.sub("", text))
    return text.replace(f"{Path(__file__).parents[2]}/", "")
