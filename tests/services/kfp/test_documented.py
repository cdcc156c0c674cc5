"""Every documented command that talks to a server, in the order of the documentation, against a stand-in."""

import os
import subprocess
import sys
from pathlib import Path

from compaware.components import images
from tests.docs.reading import GUIDES, OTHERS, blocks, commands, example_folder
from tests.services.kfp.stand_in import StandIn

CLIENTS = {"compaware": {"compile", "submit", "status", "schedule"}, "kfp": {"run", "recurring-run", "pipeline"}}


def test_documented_commands_do_what_they_say(server: StandIn, tmp_path: Path):
    folder = example_folder(tmp_path)
    site = {"KF_PIPELINES_ENDPOINT": server.address, images.VARIABLE: "registry.example.com/team/compaware:2.0"}
    variables = {**os.environ, **site, "HOME": str(tmp_path)}
    for file in [*GUIDES, *OTHERS]:
        for command in [found for block in blocks(file) if block.kind == "" for found in commands(block)]:
            program, *words = command.words
            if not words or words[0] not in CLIENTS.get(program, ()):
                continue
            if "--host" in words:
                del words[words.index("--host") : words.index("--host") + 2]
            where = Path(sys.executable).with_name(program)
            done = subprocess.run(
                [where, *words], cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{words}: {done.stderr}"
    names = {run["display_name"] for run in server.items["runs"]}
    assert "first" in names and len(server.items["runs"]) >= 3
    # The tour's last command deletes its schedule; the first page's stay.
    assert {run["display_name"] for run in server.items["recurring_runs"]} == {"nightly", "weekly"}
