"""Resolves the extras of pyproject.toml to exact versions with hashes.

`requirements.lock` holds all extras together, `requirements/` those of the images.

    python tools/lock.py [--upgrade]

A locked version is kept if pyproject.toml allows it; `--upgrade` takes the newest compatible versions. The hashes of
all files of a version are locked, so that every platform and mirror installs the same. The entry of torch also has the
hashes of the CPU builds in PyTorch's own index. The CUDA packages that torch's default build requires are left out;
tools/install.py installs them if needed.
"""

import argparse
import functools
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from install import CPU_INDEX, entries, name_of

ROOT = Path(__file__).resolve().parent.parent
WHOLE = ROOT / "requirements.lock"
FOLDER = ROOT / "requirements"
EXTRAS = ("compile", "data", "training", "benchmark", "ipex", "launch")
# Besides the extras: tools to build the wheel, and the bill of materials.
INPUTS: dict[str, list[str]] = {
    "build": ["requirements/build.in"],
    "sbom": ["requirements/sbom.in"],
}
# Python of the images, and the oldest Linux to build them on.
PLATFORM = ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def resolve(sources: list[str], present: Path, constraints: list[str], options: list[str]) -> list[str]:
    """Resolves requirements without installing them.

    Args:
        sources: Requirement files and extras for `uv pip compile`.
        present: The current lock file, whose versions are kept if they are still allowed.
        constraints: Required `name==version` lines.
        options: Further options of `uv pip compile`.

    Returns:
        One entry with hashes per package, sorted by name, without the CUDA packages.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, limits = Path(folder, "output.lock"), Path(folder, "constraints.txt")
        limits.write_text("\n".join(constraints), encoding="utf-8")
        if present.is_file():
            shutil.copy(present, output)
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += [*PLATFORM, *options, "--generate-hashes", "--output-file", output]
        subprocess.run([*command, "--constraint", limits, *sources], cwd=ROOT, check=True)
        resolved = entries(output.read_text(encoding="utf-8"))
    return [_with_cpu_builds(entry, present) for entry in resolved if not entry.startswith(CUDA_PREFIXES)]


def _with_cpu_builds(entry: str, present: Path) -> str:
    """Adds the hashes of PyTorch's CPU builds to the entry of torch; keeps those in the current lock file."""
    pin = entry.split()[0]
    if name_of(entry) != "torch":
        return entry
    before = entries(present.read_text(encoding="utf-8")) if present.is_file() else []
    same = [old for old in before if old.split()[0] == pin]
    hashes = {*_HASH.findall("".join([entry, *same])), *_cpu_builds(pin.removeprefix("torch=="))}
    return " \\\n".join([pin, *(f"    --hash=sha256:{value}" for value in sorted(hashes))])


@functools.cache
def _cpu_builds(version: str) -> list[str]:
    try:
        with urllib.request.urlopen(f"{CPU_INDEX}/torch/", timeout=10) as page:
            text = page.read().decode()
    except OSError as error:
        print(f"{CPU_INDEX} does not answer ({error}); the locked hashes of torch {version} are kept")
        return []
    return re.findall(rf"torch-{re.escape(version)}(?:%2B|\+)cpu-[^\s\"]*#sha256=([0-9a-f]{{64}})", text)


def write(file: Path, locked: list[str]) -> None:
    """Writes a lock file."""
    file.write_text("# Made by `make lock`.\n" + "\n".join(locked) + "\n", encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(locked)} packages")


def main() -> None:
    """Locks all extras, then the extras of each image to the same versions."""
    parser = argparse.ArgumentParser(prog="tools/lock.py", description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest compatible versions")
    options = ["--upgrade"] if parser.parse_args().upgrade else []
    whole = resolve(["pyproject.toml", "--extra", "dev"], WHOLE, [], options)
    write(WHOLE, whole)
    # The extra `ipex` needs another torch.
    versions = [entry.split()[0] for entry in whole if name_of(entry) != "torch"]
    extras = {extra: ["pyproject.toml", "--extra", extra] for extra in EXTRAS}
    for name, sources in {**extras, **INPUTS}.items():
        file = FOLDER / f"{name}.lock"
        write(file, resolve(sources, file, versions, options))


if __name__ == "__main__":
    main()
