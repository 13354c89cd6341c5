"""python -m training.engine SPEC.json: one training run, told as JSON lines; no database, no Django."""

import os
import sys

# Before any library reads them: nothing is fetched during a run, and tokenizers do not fork.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from training.engine.events import run_child
from training.engine.run import main

if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine SPEC.json"))
