"""Resolves the extras of pyproject.toml to exact versions with hashes.

`requirements.lock` is for all together, `requirements/` for the images.

    python tools/lock.py [--upgrade]

A version that is in a lock stays while pyproject.toml allows it; `--upgrade` takes the newest that fit together. The
hashes are those of every file of a version, so that each platform and each mirror gives the same, or nothing. The
entry of torch holds the hashes of the CPU builds of PyTorch's own index as well. The CUDA packages that torch's default
build asks for are left out: tools/install.py adds them where they are needed.
"""

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
# What is beside the extras: the build of the wheel, and the bill of materials.
INPUTS: dict[str, list[str]] = {
    "build": ["requirements/build.in"],
    "sbom": ["requirements/sbom.in"],
}
# The images' Python and the oldest Linux that they are built on.
PLATFORM = ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def resolve(sources: list[str], present: Path, constraints: list[str], options: list[str]) -> list[str]:
    """Resolves requirements, installing nothing.

    Args:
        sources: Files of requirements and extras for `uv pip compile`.
        present: The lock whose versions are kept where they are still allowed.
        constraints: `name==version` lines to keep to.
        options: More options of `uv pip compile`.

    Returns:
        One entry a package, sorted by name, each with its hashes, without the CUDA packages.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, limits = Path(folder, "output.lock"), Path(folder, "constraints.txt")
        limits.write_text("\n".join(constraints), encoding="utf-8")
        if present.is_file():
            shutil.copy(present, output)
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += [*PLATFORM, *options, "--generate-hashes", "--output-file", output]
        subprocess.run([*command, "--constraint", limits, *sources], cwd=ROOT, check=True)
        found = entries(output.read_text(encoding="utf-8"))
    return [_with_cpu_builds(entry, present) for entry in found if not entry.startswith(CUDA_PREFIXES)]


def _with_cpu_builds(entry: str, present: Path) -> str:
    """Adds the hashes of PyTorch's CPU builds to the entry of torch, and keeps those that the present lock has."""
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
        print(f"{CPU_INDEX} does not answer ({error}): the hashes of torch {version} that are in the locks stay")
        return []
    return re.findall(rf"torch-{re.escape(version)}(?:%2B|\+)cpu-[^\s\"]*#sha256=([0-9a-f]{{64}})", text)


def write(file: Path, found: list[str]) -> None:
    """Writes a lock file."""
    file.write_text("# Made by `make lock`.\n" + "\n".join(found) + "\n", encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(found)} packages")


def main() -> None:
    """Locks everything, then each image to the same versions."""
    options = [option for option in sys.argv[1:] if option == "--upgrade"]
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
