"""`python -m compaware.components.launch.worker NAME`: what a job's pods run.

Starts the component under torchrun, which reads nodes, ranks and addresses from the PET_* variables that the operator
sets. Ends as the component does: what the user can mend (2) and faults (70) must not be tried again. The reason goes to
the pod's status, where it is read even when the log is gone.
"""

import sys
from pathlib import Path

from compaware.components.launch.torchrun import exit_on_sigterm, follow_child, start_child

TERMINATION_FILE = Path("/dev/termination-log")


def main() -> None:
    """Runs one component to its end and exits with its code."""
    [component] = sys.argv[1:]
    exit_on_sigterm()
    command = [sys.executable, "-m", "compaware.components.launch.ranks", "-m", f"compaware.components.{component}"]
    ended = follow_child(start_child(command))
    if ended.reason and ended.exit_code and TERMINATION_FILE.exists():
        TERMINATION_FILE.write_text(ended.reason[:4000], encoding="utf-8")
    sys.exit(ended.exit_code)


if __name__ == "__main__":
    main()
