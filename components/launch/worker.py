"""`python -m compaware.components.launch.worker NAME`: the command of a job's pods.

Starts the component with torchrun, which reads nodes, ranks and addresses from the operator's PET_* variables. Exits
with the component's code, because errors of the user (2) and bugs (70) must not be retried. Writes the reason to the
pod's termination message, which the launcher can read even if the log is lost.
"""

import sys
from pathlib import Path

from compaware.components.launch.torchrun import exit_on_sigterm, follow_child, start_child

TERMINATION_FILE = Path("/dev/termination-log")


def main() -> None:
    """Runs one component and exits with its code."""
    [component] = sys.argv[1:]
    exit_on_sigterm()
    command = [sys.executable, "-m", "compaware.components.launch.ranks", "-m", f"compaware.components.{component}"]
    result = follow_child(start_child(command))
    if result.reason and result.exit_code and TERMINATION_FILE.exists():
        TERMINATION_FILE.write_text(result.reason[:4000], encoding="utf-8")
    sys.exit(result.exit_code)


if __name__ == "__main__":
    main()
