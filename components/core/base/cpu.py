"""What the CPU can do and how much of it is ours: features, threads, precision, each with its reason."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The flags that decide precision and INT8 kernels, as /proc/cpuinfo spells them.
DECISIVE_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_LIBRARIES = (
    "compaware",
    "torch",
    "transformers",
    "torchao",
    "openvino",
    "onnxruntime",
    "neural-compressor",
    "intel-extension-for-pytorch",
)


@cache
def model_name() -> str:
    """The CPU's name as its maker writes it."""
    return _cpuinfo().get("model name", platform.processor() or platform.machine())


@cache
def flags() -> tuple[str, ...]:
    """Those of `DECISIVE_FLAGS` that this CPU has."""
    present = set(_cpuinfo().get("flags", "").split())
    return tuple(flag for flag in DECISIVE_FLAGS if flag in present)


def has_vnni() -> bool:
    """Whether INT8 dot products run in hardware (AVX-512 VNNI, AVX-VNNI or AMX)."""
    return any(flag in flags() for flag in ("avx512_vnni", "avx_vnni", "amx_int8"))


def has_bf16() -> bool:
    """Whether BF16 dot products run in hardware; elsewhere they are emulated and several times slower than FP32."""
    return any(flag in flags() for flag in ("avx512_bf16", "amx_bf16"))


def cpu_limit() -> int:
    """Whole CPUs this process may use: its affinity mask, cut by the container's quota (cgroup v2 or v1)."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(Path("/sys/fs/cgroup"))
    return max(1, min(available, int(quota) if quota else available))


# Threads that wait for one another at each small operator take longer than one thread: training a BERT of 4 layers and
# hidden size 128 took 106 ms a step with two threads and 54 ms with one, where 17 million parameters gained from two.
_SMALL_MODEL_PARAMETERS = 5_000_000


def training_threads(processes: int, parameters: int) -> tuple[int, str]:
    """Threads for one of `processes` equal processes that train a model.

    Returns:
        The number and, for the log, why.
    """
    if os.environ.get("OMP_NUM_THREADS"):
        return threads(processes), "OMP_NUM_THREADS"
    if parameters < _SMALL_MODEL_PARAMETERS:
        return 1, "a small model trains fastest with one thread"
    return threads(processes), f"{processes} processes share {cpu_limit()} CPUs"


def threads(processes: int = 1) -> int:
    """Threads for one of `processes` equal processes on this machine; OMP_NUM_THREADS, when set, wins."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return int(chosen) if chosen.isdigit() and int(chosen) > 0 else max(1, cpu_limit() // max(1, processes))


def choose_precision(asked: str) -> tuple[str, str]:
    """Resolves `auto` to `bf16` or `fp32` for training.

    Returns:
        The precision and, for the log and the report, why.
    """
    if asked != "auto":
        return asked, "set by hand"
    if has_bf16():
        return "bf16", "the CPU computes BF16 in hardware"
    return "fp32", "the CPU has no BF16 hardware (emulation would be slower)"


def machine_facts() -> dict[str, Any]:
    """CPU, threads and versions to print beside every figure."""
    return {
        "cpu": model_name(),
        "flags": list(flags()),
        "cpu_limit": cpu_limit(),
        "threads": threads(),
        "python": platform.python_version(),
        "platform": sys.platform,
        "versions": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


@cache
def _cpuinfo() -> dict[str, str]:
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return {}
    first = file.read_text(encoding="utf-8").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cgroup_quota(root: Path) -> float | None:
    """CPUs granted by the cgroup quota, or None where there is no limit."""
    try:
        if (root / "cpu.max").is_file():
            quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
            return None if quota == "max" else int(quota) / int(period)
        granted = int((root / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii"))
        return granted / int((root / "cpu/cpu.cfs_period_us").read_text(encoding="ascii")) if granted > 0 else None
    except (OSError, ValueError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
