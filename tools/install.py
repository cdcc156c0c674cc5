"""Installs what a lock file pins, checked against its hashes, with a CPU build of torch where an index offers one.

    python tools/install.py requirements.lock [--python PYTHON] [--cpu-only]

torch for Linux on pypi.org is a CUDA build that asks for gigabytes of NVIDIA's packages. So torch is taken from the
first of these:

1. the index that the environment variable TORCH_INDEX_URL names: whatever it offers, also CUDA;
2. the index that pip is configured with, if its torch is a CPU build;
3. PyTorch's CPU index, if it answers within seconds;
4. the index that pip is configured with.

One line says which. Only the standard library is used: this runs before anything is installed.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
SECONDS_TO_ANSWER = 5
# Every CUDA build for Linux asks for one of these; a version below 0 does not exist.
NO_CUDA = "".join(f"{name}<0\n" for name in ("triton", "cuda-toolkit", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13"))
_VERSION = "import importlib.metadata as found; print(found.version('torch'))"


def entries(text: str) -> list[str]:
    """Returns the entries of a lock's text, each with the lines of its hashes."""
    found = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return [entry.rstrip() for entry in found if entry.strip() and not entry.startswith("#")]


def name_of(entry: str) -> str:
    """Returns the package's name in an entry such as `torch==2.13.0 --hash=…`."""
    return entry.split("==")[0]


class Installer:
    """Installs into one environment by pip."""

    def __init__(self, python: str | None, folder: Path) -> None:
        self.python = python or sys.executable
        self.pip = [sys.executable, "-m", "pip", *(["--python", python] if python else [])]
        self.folder = folder

    def install(self, *arguments: str, index: str = "") -> None:
        """Runs `pip install`; where it fails, its output says why."""
        done = subprocess.run([*self.pip, "install", "--quiet", *arguments], env=_environment(index), check=False)
        if done.returncode:
            sys.exit(done.returncode)

    def would_install(self, *arguments: str) -> dict | None:
        """Returns what pip's report says of the torch that it would install, or None where pip finds no solution."""
        report = self.folder / "report.json"
        command = [*self.pip, "install", "--quiet", "--dry-run", "--report", str(report), "--use-feature=fast-deps"]
        if subprocess.run([*command, *arguments], capture_output=True, check=False).returncode:
            return None
        packages = json.loads(report.read_text(encoding="utf-8"))["install"]
        return next(package for package in packages if package["metadata"]["name"] == "torch")

    def torch_version(self) -> str:
        """Returns the installed version of torch, or an empty text."""
        done = subprocess.run([self.python, "-c", _VERSION], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def cpu_index_has(self, version: str) -> bool:
        """Returns whether PyTorch's CPU index offers this version and answers in time."""
        command = [*self.pip, "index", "versions", "torch", "--retries", "0", "--timeout", str(SECONDS_TO_ANSWER)]
        try:
            done = subprocess.run(
                command, env=_environment(CPU_INDEX), capture_output=True, text=True, timeout=2 * SECONDS_TO_ANSWER
            )
        except subprocess.TimeoutExpired:
            return False
        return f"{version}+cpu" in re.split(r"[\s,()]+", done.stdout)

    def write(self, name: str, text: str) -> str:
        """Writes a file for pip and returns its path."""
        file = self.folder / name
        file.write_text(text + "\n", encoding="utf-8")
        return str(file)


def _environment(index: str) -> dict[str, str]:
    # By a variable: an index may hold a password, and a command line can be read by others.
    return {**os.environ, "PIP_INDEX_URL": index} if index else dict(os.environ)


def install_torch(installer: Installer, entry: str, cpu_only: bool) -> str:
    """Installs torch from the first index of this file's list that has it.

    Args:
        installer: The environment.
        entry: torch's entry in the lock.
        cpu_only: Stop rather than install a CUDA build's packages.

    Returns:
        Where the installed build comes from, in words.
    """
    pin, *hashes = entry.replace("\\", "").split()
    version = pin.removeprefix("torch==")
    if installer.torch_version().split("+")[0] == version:
        return "installed already"
    index = os.environ.get("TORCH_INDEX_URL", "")
    if index:
        wanted, source = pin, "from TORCH_INDEX_URL, not checked against a hash"
    elif offer := installer.would_install(pin, "--constraint", installer.write("no-cuda.txt", NO_CUDA)):
        wanted = _as_offered(offer, hashes)
        known = "" if "--hash" in wanted else ", whose hash the lock does not know"
        source = f"the CPU build of pip's own index{known}"
    elif sys.platform == "linux" and installer.cpu_index_has(version):
        index, wanted, source = CPU_INDEX, " ".join([f"{pin}+cpu", *hashes]), f"the CPU build of {CPU_INDEX}"
    elif cpu_only:
        sys.exit(f"error: pip's index has no CPU build of {pin}, and {CPU_INDEX} does not answer: set TORCH_INDEX_URL")
    else:
        offer = installer.would_install("--no-deps", pin)
        wanted = _as_offered(offer, hashes) if offer else pin
        source = f"a CUDA build: pip's own index has no other, and {CPU_INDEX} does not answer (see TORCH_INDEX_URL)"
    installer.install("--no-deps", "--requirement", installer.write("torch.txt", wanted), index=index)
    if not cpu_only:
        # What a CUDA build asks for; a CPU build has all that it needs.
        installer.install(pin, index=index)
    return source


def _as_offered(offer: dict, hashes: list[str]) -> str:
    """Returns the requirement of the very build that pip would take, with its hash if the lock has it.

    With the hashes of all builds pip would prefer a CUDA build whose hash the index tells to a CPU build whose hash it
    does not tell.
    """
    value = offer["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
    option = f"--hash=sha256:{value}"
    return f"torch=={offer['metadata']['version']}" + (f" {option}" if option in hashes else "")


def main() -> None:
    """Installs a lock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--python", help="the interpreter to install for, where it has no pip of its own")
    parser.add_argument("--cpu-only", action="store_true", help="stop where torch has no CPU build")
    options = parser.parse_args()
    found = {name_of(entry): entry for entry in entries(options.lock.read_text(encoding="utf-8"))}
    torch = found.pop("torch", None)
    with tempfile.TemporaryDirectory() as folder:
        installer = Installer(options.python, Path(folder))
        rest = installer.write("rest.txt", "\n".join(found.values()))
        installer.install("--no-deps", "--require-hashes", "--requirement", rest)
        if torch:
            source = install_torch(installer, torch, options.cpu_only)
            print(f"torch {installer.torch_version()}: {source}", flush=True)


if __name__ == "__main__":
    main()
