"""Divides the variants into groups that are measured at the same time: one group if memory holds them all.

Each group contains the same reference. Groups are measured minutes apart, so the times of later groups are scaled by
the reference's times: candidates of different groups are compared through the reference.
"""

from collections.abc import Sequence
from pathlib import Path

from compaware.components.benchmark.workers.worker_process import Variant
from compaware.components.core.base.files import size_bytes

# Memory of a worker: its libraries, the file and copies of the weights, and activations.
_LIBRARIES = {"torch": 520_000_000, "ipex": 800_000_000, "openvino": 150_000_000, "onnxruntime": 100_000_000}
_LIBRARIES |= {"sklearn": 150_000_000, "numpy": 150_000_000}
_WEIGHT_COPIES = 2.5
_BYTES_PER_TOKEN = 25_000
# The rest is for the benchmark's own process and the system.
_USABLE = 0.9
_NO_LIMIT = 1 << 60


def plan_groups(needed_bytes: Sequence[int], available_bytes: float) -> list[list[int]]:
    """Divides variants into groups that fit in memory; the first variant is the reference, which is in each group.

    Args:
        needed_bytes: Memory that each variant needs.
        available_bytes: Memory that is available.

    Returns:
        Indices of the variants of each group. A variant that is too large even beside the reference alone is still
        tried.
    """
    groups = [[0]]
    used = needed_bytes[0]
    for index, needed in enumerate(needed_bytes[1:], start=1):
        if len(groups[-1]) > 1 and used + needed > available_bytes:
            groups.append([0])
            used = needed_bytes[0]
        groups[-1].append(index)
        used += needed
    return groups


def memory_needed_bytes(variant: Variant, batch_size: int, length_tokens: int) -> int:
    """Estimates the peak memory of a variant's worker.

    Args:
        variant: The variant, whose files exist.
        batch_size: Rows in its largest batch.
        length_tokens: Tokens in its longest row.
    """
    weights = sum(size_bytes(file) for file in variant.files)
    return _LIBRARIES[variant.runtime] + int(_WEIGHT_COPIES * weights) + batch_size * length_tokens * _BYTES_PER_TOKEN


def available_memory_bytes(cgroup: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")) -> float:
    """Returns the free memory for workers, on the machine or below the container's limit (cgroup v2 or v1)."""
    lines = meminfo.read_text(encoding="ascii").splitlines()
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), _NO_LIMIT)
    for limit, usage, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            allowed = (cgroup / limit).read_text(encoding="ascii").strip()
            used = int((cgroup / usage).read_text(encoding="ascii"))
            statistics = (cgroup / usage).with_name("memory.stat").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue
        # The cgroup counts cached files as used, but the kernel frees them when memory is needed.
        reclaimable = int(statistics[statistics.index(cached) + 1]) if cached in statistics else 0
        if allowed != "max":
            free = min(free, int(allowed) - used + reclaimable)
    return _USABLE * free
