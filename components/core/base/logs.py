"""Logging of every entry point: single lines on standard error; ranks other than 0 log only warnings and errors."""

import logging
import os
import sys
import warnings

# Libraries whose messages and warnings our users cannot act on.
_NOISY = ("httpx", "fsspec", "datasets", "transformers", "torch", "torchao", "nncf", "openvino", "neural_compressor")


def setup_logging() -> None:
    """Logs records of `compaware` from INFO on, and of other libraries from WARNING on, to standard error."""
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
    os.environ.setdefault("TORCH_LOGS", "-all")  # Torch resets its loggers' levels on import and reads this variable.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TQDM_DISABLE", "1")  # Progress is logged as lines, not as bars.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
