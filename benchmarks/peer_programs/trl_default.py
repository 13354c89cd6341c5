"""TRL as it comes, LoRA on all linear layers: `trl_default.py MODEL ROWS STEPS METHOD`; prints real tokens a second.

Rows are texts for SFT, and objects with prompt, chosen and rejected for DPO.
"""

import json
import sys
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

TRAINERS = {"sft": (SFTTrainer, SFTConfig), "dpo": (DPOTrainer, DPOConfig)}


class Clock(TrainerCallback):
    """Times the second half of the steps: in the first, kernels are compiled for lengths not seen before."""

    def __init__(self, steps: int) -> None:
        self.first = steps // 2

    def on_step_end(self, args, state, control, **kwargs):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if state.global_step == self.first:
            self.began = time.perf_counter()
        self.ended = time.perf_counter()


def as_read(row):
    """As TRL reads it; prompt and answer are set end to end, so that a space stands between their words."""
    if isinstance(row, str):
        return {"text": row}
    return {"prompt": row["prompt"], "chosen": f" {row['chosen']}", "rejected": f" {row['rejected']}"}


def main(model: str, path: str, steps: int, method: str) -> None:
    rows = json.loads(Path(path).read_text())
    clock = Clock(steps)
    kind, config = TRAINERS[method]
    trainer = kind(
        model=model,
        args=config(
            output_dir=f"{path}.out",
            max_length=2048,
            max_steps=steps,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            model_init_kwargs={"dtype": "bfloat16"} if torch.cuda.is_available() else {},
            use_cpu=not torch.cuda.is_available(),
            bf16=torch.cuda.is_available(),
        ),
        train_dataset=Dataset.from_list([as_read(row) for row in rows]),
        # By its own file: the class chosen for Qwen2 would read these words by Qwen's rule and find none of them.
        processing_class=PreTrainedTokenizerFast.from_pretrained(model),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[clock],
    )
    trainer.train()
    # What TRL itself has counted: real tokens, of pairs those of both answers with the prompt before each.
    counted = {
        entry["step"]: float(entry["num_tokens"]) for entry in trainer.state.log_history if "num_tokens" in entry
    }
    tokens = counted[steps] - counted[clock.first]
    peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
    print(json.dumps({"tok_s": tokens / (clock.ended - clock.began), "peak_gib": peak}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
