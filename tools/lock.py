"""Resolves the extras of pyproject.toml to exact versions: `requirements.lock` for all, `requirements/` for the images.

`requirements.lock` names versions only, so that any mirror and any Python serves it. The files for the images hold the
hashes of every file of each version as well, so that an image is the same on every platform and from every mirror, or
is not built at all. torch is not in them: its CPU and CUDA builds share a version, so an image installs it first, by
version. The CUDA packages that torch's default build asks for are left out everywhere: pip adds them where they are
needed.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

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
_ENTRY = re.compile(r"^(?=\S)", re.MULTILINE)


def resolve(sources: list[str], constraints: list[str], hashes: bool = False) -> list[str]:
    """Resolves requirements, installing nothing.

    Args:
        sources: Files of requirements and options for `uv pip compile`.
        constraints: `name==version` lines to keep to; without any, the newest that fit together are taken.
        hashes: Add the hashes of every file of each version.

    Returns:
        `name==version` entries without CUDA's, sorted by name, each with its hashes if these are asked for.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", *PLATFORM]
    command += ["--generate-hashes"] if hashes else []
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(constraints))
        file.flush()
        command += ["--constraint", file.name, *sources]
        found = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    entries = [entry.rstrip() for entry in _ENTRY.split(found) if entry.strip()]
    return [entry for entry in entries if not entry.startswith(CUDA_PREFIXES)]


def write(file: Path, entries: list[str]) -> None:
    """Writes a lock file."""
    file.write_text("# Made by `make lock`.\n" + "\n".join(entries) + "\n", encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(entries)} packages")


def lock_images(versions: list[str]) -> None:
    """Locks what the images install, to these versions."""
    versions = [version for version in versions if not version.startswith("torch==")]
    extras = {extra: ["pyproject.toml", "--extra", extra] for extra in EXTRAS}
    for name, sources in {**extras, **INPUTS}.items():
        entries = resolve(sources, versions, hashes=True)
        write(FOLDER / f"{name}.lock", [entry for entry in entries if not entry.startswith("torch==")])


def main() -> None:
    """Locks everything, then each image to the same versions."""
    whole = resolve(["pyproject.toml", "--extra", "dev"], constraints=[])
    write(WHOLE, whole)
    lock_images(whole)


if __name__ == "__main__":
    main()
