"""`python -m compaware.components.launch.ranks`: torchrun whose exit code is that of its processes.

torchrun itself makes 1 of every exit code and ends with a summary of some twenty lines, in which no reason is given.
"""

import logging
import signal
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from compaware.components.core.base.errors import FAULT_EXIT_CODE, KILLED_PREFIX, USER_ERROR_EXIT_CODE
from compaware.components.core.base.faults import report
from compaware.components.core.base.lifetime import end_with_command


def main() -> None:
    """Runs the processes to their end; arguments and PET_* variables are torchrun's."""
    # torchrun's records tell of exit codes and of peers that are ended for them, after the process that said why.
    logging.disable(logging.ERROR)
    end_with_command()
    try:
        run(parse_args(sys.argv[1:]))
    except ChildFailedError as error:
        sys.exit(_exit_code({rank: failure.exitcode for rank, failure in error.failures.items()}))
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except Exception as error:
        sys.exit(report(error))


def _exit_code(codes: dict[int, int]) -> int:
    """The exit code that explains the most; says so where a signal ended a rank, which could not."""
    found = set(codes.values())
    for code in (USER_ERROR_EXIT_CODE, FAULT_EXIT_CODE):
        if code in found:
            return code
    # torchrun ends the peers of a failed rank by SIGTERM.
    killed = {rank: -code for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM}
    if killed:
        rank, number = min(killed.items())
        hint = ", most likely since there was not enough memory" if number == signal.SIGKILL else ""
        print(f"{KILLED_PREFIX}rank {rank} got {signal.Signals(number).name}{hint}", file=sys.stderr, flush=True)
        return 128 + number
    return max(code for code in found if code > 0) if max(found) > 0 else 128 + signal.SIGTERM


if __name__ == "__main__":
    main()
