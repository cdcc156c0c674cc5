"""`host.py POD FOLDER [GONE_WHEN]`: simulates a node that runs one pod's container and restarts it when it fails.

POD: file with the container's command and variables. FOLDER: mount point of the node's disk. GONE_WHEN: once this file
exists, all processes of the node are killed, its disk is emptied, and the pod is restarted.
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
    """Runs the pod until its container succeeds or has failed too often; exits with its exit code."""
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
            # Kills every process of this host except this one, without notice.
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
    """Mounts an empty disk at the folder, visible only to this host."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)


if __name__ == "__main__":
    main()
