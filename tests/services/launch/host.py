"""`host.py POD FOLDER [GONE_WHEN]`: a node of a cluster; it runs one pod's container and starts it again when it fails.

POD: a file with the container's command and variables. FOLDER: the node's disk is seen there. GONE_WHEN: once that file
is there, everything that runs here is killed, the disk is emptied, and a while later the pod starts again.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MOST_RESTARTS = 4
_PAUSE_S = 1.0


def main() -> None:
    """Runs the pod until its container ends well, or has failed too often; ends with its exit code."""
    pod = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    gone_when = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    mount_disk(folder)
    exit_code = 0
    for _ in range(1 + MOST_RESTARTS):
        container = subprocess.Popen(pod["command"], env=pod["env"], cwd=folder)
        while container.poll() is None and not (gone_when and gone_when.exists()):
            time.sleep(0.1)
        if gone_when and gone_when.exists():
            # Every process of this host but this one: nobody says goodbye.
            os.kill(-1, signal.SIGKILL)
            print("host: killed", flush=True)
            gone_when = None
            mount_disk(folder)
        exit_code = container.wait()
        if exit_code == 0:
            break
        print(f"host: the container ended with exit code {exit_code}", flush=True)
        time.sleep(_PAUSE_S)
    sys.exit(exit_code)


def mount_disk(folder: Path) -> None:
    """Puts an empty disk at the folder, which only this host sees."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)


if __name__ == "__main__":
    main()
