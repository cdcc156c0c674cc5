"""`python -m compaware.components.launch.ranks`: torchrun that exits with the code of its processes.

torchrun exits with 1 for any failure, after a summary of about twenty lines without the reason.
"""

import logging
import os
import signal
import sys

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from compaware.components.core.base.errors import (
    ERROR_PREFIX,
    FAULT_EXIT_CODE,
    KILLED_PREFIX,
    USER_ERROR_EXIT_CODE,
)
from compaware.components.core.base.faults import report
from compaware.components.core.base.lifetime import end_with_command, exit_at_once
from compaware.components.launch.pods import GPUS_VARIABLE


def main() -> None:
    """Runs the processes until they end; takes the arguments and PET_* variables of torchrun."""
    # torchrun logs exit codes and the peers that it ends, after the reason that the failed process printed.
    logging.disable(logging.ERROR)
    end_with_command()
    _require_gpus()
    try:
        run(parse_args(sys.argv[1:]))
    except ChildFailedError as error:
        exit_at_once(_exit_code({rank: failure.exitcode for rank, failure in error.failures.items()}))
    except SignalException as error:
        exit_at_once(128 + error.sigval)
    except Exception as error:
        exit_at_once(report(error))


def _require_gpus() -> None:
    """Ends the process if PyTorch finds fewer GPUs than the pod was given, because it would train on the CPU."""
    expected, found = int(os.environ.get(GPUS_VARIABLE, "0")), torch.cuda.device_count()
    if found < expected:
        advice = "set job.image to an image with a CUDA build of PyTorch, and check the node's driver"
        line = f"gpus_per_node is {expected}, but PyTorch {torch.__version__} finds {found} GPUs: {advice}"
        print(f"{ERROR_PREFIX}{line}", file=sys.stderr, flush=True)
        sys.exit(USER_ERROR_EXIT_CODE)


def _exit_code(codes: dict[int, int]) -> int:
    """Returns the exit code that explains the most; prints a line for a rank that was killed by a signal."""
    distinct_codes = set(codes.values())
    for code in (USER_ERROR_EXIT_CODE, FAULT_EXIT_CODE):
        if code in distinct_codes:
            return code
    # torchrun ends the peers of a failed rank by SIGTERM.
    killed = {rank: -code for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM}
    if killed:
        rank, number = min(killed.items())
        hint = ", probably because of too little memory" if number == signal.SIGKILL else ""
        print(f"{KILLED_PREFIX}rank {rank} got {signal.Signals(number).name}{hint}", file=sys.stderr, flush=True)
        return 128 + number
    return max(distinct_codes) if max(distinct_codes) > 0 else 128 + signal.SIGTERM


if __name__ == "__main__":
    main()
