"""Installs a lock file, checks its hashes, and prefers a CPU build of torch.

    python tools/install.py requirements.lock [--python PYTHON] [--cpu-only]

On PyPI, torch for Linux is a CUDA build that needs gigabytes of NVIDIA's packages. So torch is installed from the
first of these:

1. the index in the environment variable TORCH_INDEX_URL, also if it offers a CUDA build;
2. pip's configured index, if its torch is a CPU build;
3. PyTorch's CPU index, if it answers within seconds;
4. pip's configured index.

A line says which was used. The script needs only the standard library, since it runs before anything is installed.
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
# Every CUDA build for Linux requires one of these packages; no version below 0 exists.
NO_CUDA = "".join(f"{name}<0\n" for name in ("triton", "cuda-toolkit", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13"))
_VERSION = "import importlib.metadata as metadata; print(metadata.version('torch'))"


def entries(text: str) -> list[str]:
    """Returns the entries of a lock file's text, each with the lines of its hashes."""
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return [block.rstrip() for block in blocks if block.strip() and not block.startswith("#")]


def name_of(entry: str) -> str:
    """Returns the name of the package in an entry such as `torch==2.13.0 --hash=…`."""
    return entry.split("==")[0]


class Installer:
    """Installs packages into one environment with pip."""

    def __init__(self, python: str | None, folder: Path) -> None:
        self.python = python or sys.executable
        self.pip = [sys.executable, "-m", "pip", *(["--python", python] if python else [])]
        self.folder = folder

    def install(self, *arguments: str, index: str = "") -> None:
        """Runs `pip install`; if it fails, exits with its code, after its output."""
        result = subprocess.run([*self.pip, "install", "--quiet", *arguments], env=_environment(index), check=False)
        if result.returncode:
            sys.exit(result.returncode)

    def install_configured(self, pin: str, hashes: list[str]) -> str:
        """Installs torch from pip's configured index. Returns a warning if its hash is not in the lock file.

        Such a build is accepted, because a private index may hold its own builds.
        """
        checked = ["--no-deps", "--requirement", self.write("torch.txt", " ".join([pin, *hashes]))]
        if not subprocess.run([*self.pip, "install", "--quiet", *checked], capture_output=True, check=False).returncode:
            return ""
        self.install("--no-deps", pin)
        return ", whose hash is not in the lock file"

    def configured_cpu_build(self, pin: str) -> str:
        """Returns the version of the CPU build in pip's configured index, or an empty string."""
        report, limits = self.folder / "report.json", self.write("no-cuda.txt", NO_CUDA)
        command = [*self.pip, "install", "--quiet", "--dry-run", "--report", str(report), "--use-feature=fast-deps"]
        if subprocess.run([*command, "--constraint", limits, pin], capture_output=True, check=False).returncode:
            return ""
        packages = [package["metadata"] for package in json.loads(report.read_text(encoding="utf-8"))["install"]]
        return next(package["version"] for package in packages if package["name"] == "torch")

    def torch_version(self) -> str:
        """Returns the installed version of torch, or an empty string."""
        result = subprocess.run([self.python, "-c", _VERSION], capture_output=True, text=True, check=False)
        return result.stdout.strip()

    def cpu_index_has(self, version: str) -> bool:
        """Whether PyTorch's CPU index answers in time and offers this version."""
        command = [*self.pip, "index", "versions", "torch", "--retries", "0", "--timeout", str(SECONDS_TO_ANSWER)]
        try:
            # The whole command has a limit too, since a name server that does not answer takes long.
            result = subprocess.run(
                command, env=_environment(CPU_INDEX), capture_output=True, text=True, timeout=4 * SECONDS_TO_ANSWER
            )
        except subprocess.TimeoutExpired:
            return False
        return f"{version}+cpu" in re.split(r"[\s,()]+", result.stdout)

    def write(self, name: str, text: str) -> str:
        """Writes a file for pip and returns its path."""
        file = self.folder / name
        file.write_text(text + "\n", encoding="utf-8")
        return str(file)


def _environment(index: str) -> dict[str, str]:
    # The index is passed as a variable, since it may contain a password and others can read a command line.
    return {**os.environ, "PIP_INDEX_URL": index} if index else dict(os.environ)


def install_torch(installer: Installer, entry: str, cpu_only: bool) -> str:
    """Installs torch from the first suitable index in the list above.

    Args:
        installer: Installer for the environment.
        entry: Entry of torch in the lock file.
        cpu_only: Whether to stop instead of installing a CUDA build.

    Returns:
        The source of the installed build, in words.
    """
    pin, *hashes = entry.replace("\\", "").split()
    version = pin.removeprefix("torch==")
    if installer.torch_version().split("+")[0] == version:
        return "already installed"
    index = os.environ.get("TORCH_INDEX_URL", "")
    if index:
        source = "from TORCH_INDEX_URL, not checked against a hash"
        installer.install("--no-deps", pin, index=index)
    elif build := installer.configured_cpu_build(pin):
        # The full version, since pip prefers a CUDA build whose hash the index gives to a CPU build without one.
        source = "the CPU build of pip's configured index" + installer.install_configured(f"torch=={build}", hashes)
    elif sys.platform == "linux" and installer.cpu_index_has(version):
        index, source = CPU_INDEX, f"the CPU build of {CPU_INDEX}"
        requirement = installer.write("torch.txt", " ".join([f"{pin}+cpu", *hashes]))
        installer.install("--no-deps", "--requirement", requirement, index=index)
    elif cpu_only:
        sys.exit(f"error: pip's index has no CPU build of {pin}, and {CPU_INDEX} does not answer: set TORCH_INDEX_URL")
    else:
        source = f"a CUDA build, since pip's index has no other and {CPU_INDEX} does not answer (see TORCH_INDEX_URL)"
        source += installer.install_configured(pin, hashes)
    if not cpu_only:
        # Installs the packages that a CUDA build requires; a CPU build requires no more.
        installer.install(pin, index=index)
    return source


def main() -> None:
    """Installs a lock file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--python", help="interpreter to install for, if it has no pip of its own")
    parser.add_argument("--cpu-only", action="store_true", help="stop if there is no CPU build of torch")
    options = parser.parse_args()
    by_name = {name_of(entry): entry for entry in entries(options.lock.read_text(encoding="utf-8"))}
    torch = by_name.pop("torch", None)
    with tempfile.TemporaryDirectory() as folder:
        installer = Installer(options.python, Path(folder))
        rest = installer.write("rest.txt", "\n".join(by_name.values()))
        installer.install("--no-deps", "--require-hashes", "--requirement", rest)
        if torch:
            source = install_torch(installer, torch, options.cpu_only)
            print(f"torch {installer.torch_version()}: {source}", flush=True)


if __name__ == "__main__":
    main()
