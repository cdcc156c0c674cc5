"""Logging of every entry point: one line a fact, on standard error, only from rank 0 unless something is wrong."""

import logging
import os
import sys
import warnings

# Libraries that announce themselves at INFO or by Python warnings that no user of ours can act on.
_NOISY = ("httpx", "fsspec", "datasets", "transformers", "torch", "torchao", "nncf", "openvino", "neural_compressor")


def setup_logging() -> None:
    """Sends `compaware` records at INFO, and other libraries' at WARNING, to standard error as single lines."""
    is_main = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )
    logging.getLogger("compaware").setLevel(logging.INFO if is_main else logging.WARNING)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    os.environ.setdefault("TORCH_LOGS", "-all")  # Torch sets its loggers' levels anew on import: this is how it asks.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TQDM_DISABLE", "1")  # Libraries' bars; our own progress is lines.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
