"""CPU features, the number of CPUs and threads to use, and the training precision."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Flags as /proc/cpuinfo spells them. One of these is enough for INT8 dot products in hardware, or for BF16.
INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8")
BF16_FLAGS = ("avx512_bf16", "amx_bf16")
# The flags that decide precision and kernels.
DECISIVE_FLAGS = ("avx2", "fma", "avx512f", *INT8_FLAGS, *BF16_FLAGS)
# Name and instance type of the node, which Kubernetes sets in the pods of tasks that measure.
NODE_VARIABLES = {"node": "COMPAWARE_NODE", "node_type": "COMPAWARE_NODE_TYPE"}
_CGROUP = Path("/sys/fs/cgroup")
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
    """Returns the CPU's name, such as `AMD EPYC 7B13`."""
    return _cpuinfo().get("model name", platform.processor() or platform.machine())


@cache
def flags() -> tuple[str, ...]:
    """Returns the flags of `DECISIVE_FLAGS` that this CPU has."""
    present = set(_cpuinfo().get("flags", "").split())
    return tuple(flag for flag in DECISIVE_FLAGS if flag in present)


def has_vnni() -> bool:
    """Whether INT8 dot products run in hardware (AVX-512 VNNI, AVX-VNNI or AMX)."""
    return any(flag in flags() for flag in INT8_FLAGS)


def has_bf16() -> bool:
    """Whether BF16 dot products run in hardware; elsewhere they are emulated and several times slower than FP32."""
    return any(flag in flags() for flag in BF16_FLAGS)


def cpu_limit() -> int:
    """Returns how many whole CPUs this process may use: its affinity mask, limited by the cgroup quota (v2 or v1)."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, min(available, int(quota) if quota else available))


# For small operators, synchronizing threads costs more than it saves: training a BERT of 4 layers and hidden size 128
# took 106 ms a step with two threads and 54 ms with one. A model of 17 million parameters was faster with two.
_SMALL_MODEL_PARAMETERS = 5_000_000


def training_threads(processes: int, parameters: int) -> tuple[int, str]:
    """Returns the number of threads for each of `processes` training processes, and the reason for the log."""
    if os.environ.get("OMP_NUM_THREADS"):
        return threads(processes), "OMP_NUM_THREADS"
    if parameters < _SMALL_MODEL_PARAMETERS:
        return 1, "a small model trains fastest with one thread"
    return threads(processes), f"{processes} processes share {cpu_limit()} CPUs"


def threads(processes: int = 1) -> int:
    """Returns the number of threads for each of `processes` processes; OMP_NUM_THREADS takes precedence."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return int(chosen) if chosen.isdigit() and int(chosen) > 0 else max(1, cpu_limit() // max(1, processes))


def choose_precision(precision: str) -> tuple[str, str]:
    """Resolves `auto` to `bf16` or `fp32` for training; returns the precision and the reason for log and report."""
    if precision != "auto":
        return precision, f"precision={precision}"
    if has_bf16():
        return "bf16", "the CPU computes BF16 in hardware"
    return "fp32", "the CPU has no BF16 hardware (emulation would be slower)"


def machine_facts() -> dict[str, Any]:
    """Returns CPU, threads, library versions and, if known, the node, which are recorded with every measurement."""
    return {
        "cpu": model_name(),
        "flags": list(flags()),
        "cpu_limit": cpu_limit(),
        "threads": threads(),
        "python": platform.python_version(),
        "platform": sys.platform,
        "versions": {name: installed for name in _LIBRARIES if (installed := _version(name))},
        **{name: os.environ[variable] for name, variable in NODE_VARIABLES.items() if os.environ.get(variable)},
    }


@cache
def _cpuinfo() -> dict[str, str]:
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return {}
    first = file.read_text(encoding="utf-8").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def cgroup_quota() -> float | None:
    """Returns the cgroup quota (v2 or v1) in CPUs; None without a limit."""
    try:
        if (_CGROUP / "cpu.max").is_file():
            quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
            return None if quota == "max" else int(quota) / int(period)
        granted = int((_CGROUP / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii"))
        return granted / int((_CGROUP / "cpu/cpu.cfs_period_us").read_text(encoding="ascii")) if granted > 0 else None
    except (OSError, ValueError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
