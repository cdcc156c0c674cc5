"""Resolves the extras of pyproject.toml to exact versions: `requirements.lock` for all, `requirements/` by extra.

The files name versions only, no index and no hashes, so that any mirror serves them. CUDA packages are left out: they
belong to the torch build of the machine that made the lock, and pip adds its own where torch needs them.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE_EXTRAS = ("compile", "data", "training", "benchmark", "launch")
WHOLE = ROOT / "requirements.lock"
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")


def resolve(extra: str, constraint: Path | None) -> list[str]:
    """Resolves one extra with pip, installing nothing.

    Args:
        extra: Name of an extra of this project.
        constraint: Versions to keep to, or None to take the newest that fit together.

    Returns:
        Sorted `name==version` lines.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report)]
        command += ["--constraint", str(constraint)] if constraint else []
        subprocess.run([*command, f"{ROOT}[{extra}]"], check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    versions = {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in found}
    # The local part of a version (torch's +cpu) names a build, which is the installing machine's choice.
    return sorted(
        f"{name}=={version.split('+')[0]}"
        for name, version in versions.items()
        if name != "compaware" and not name.startswith(CUDA_PREFIXES)
    )


def write(file: Path, lines: list[str]) -> None:
    """Writes a lock file."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("# Made by `make lock`.\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(lines)} packages")


def main() -> None:
    """Locks everything, then each image's extra to the same versions."""
    write(WHOLE, resolve("dev", None))
    for extra in IMAGE_EXTRAS:
        write(ROOT / "requirements" / f"{extra}.lock", resolve(extra, WHOLE))


if __name__ == "__main__":
    main()
