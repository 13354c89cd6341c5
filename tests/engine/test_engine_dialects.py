"""What is written for TRL is what TRL's own parser takes."""

from dataclasses import asdict

import pytest

from training.domain import dialects
from training.domain.dialects import About
from training.domain.recipe import Recipe

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated"),  # TRL sets it itself
]
ABOUT = About("run 1", "acme/base", "a1b2c3", "f" * 64, "Tickets v3", "c" * 64, 120)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(method="dpo", learning_rate=1e-5, epochs=1, recompute="never", four_bit=True, cut="cut"),
        Recipe(learning_rate=1e-8, warmup=0.0, packing=True, checkpoint_steps=7, recompute="always", dropout=0.1,
               target_modules=("k_proj", "q_proj"), batch_size=3, accumulation=5, max_length=512, scheduler="linear"),
    ],
)  # fmt: skip
def test_the_parser_of_trl_takes_what_is_written_for_it(recipe, tmp_path):
    from trl import DPOConfig, ModelConfig, ScriptArguments, SFTConfig, TrlParser
    from trl.scripts.utils import DatasetMixtureConfig

    written = dialects.write("trl", recipe, ABOUT)
    file = tmp_path / written.file_name
    file.write_text(written.text)
    kind = DPOConfig if recipe.method == "dpo" else SFTConfig
    text = file.read_text().replace("bf16: true", "bf16: false\nuse_cpu: true")  # so that no card is needed to look
    file.write_text(text)

    parser = TrlParser((ScriptArguments, kind, ModelConfig, DatasetMixtureConfig))
    _, args, model, mixture = parser.parse_args_and_config(["--config", str(file)])

    assert (args.learning_rate, args.num_train_epochs) == (recipe.learning_rate, recipe.epochs)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == recipe.rows_per_step
    assert (args.warmup_steps, args.max_length, args.seed) == (recipe.warmup, recipe.max_length, recipe.seed)
    assert (model.use_peft, model.lora_r, model.lora_alpha) == (True, recipe.rank, recipe.alpha)
    assert model.load_in_4bit is recipe.four_bit
    targets = model.lora_target_modules
    assert (tuple(targets) if isinstance(targets, list) else (targets,)) == recipe.target_modules
    assert asdict(mixture)["datasets"][0]["data_files"] == "tickets-v3.jsonl"
    assert recipe.method == "dpo" or args.packing is recipe.packing
