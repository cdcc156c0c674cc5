"""Chooses the logical CPUs of the workers: one for each physical core, where the container has cores of its own."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError

_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Affinity:
    """The logical CPUs that workers run on.

    Attributes:
        cpus: One logical CPU of each physical core; empty if the workers are not pinned.
        reason: The CPUs in words, or why the workers are not pinned.
    """

    cpus: tuple[int, ...]
    reason: str


def choose_affinity(
    threads: int, allowed: Iterable[int] | None = None, quota: float | None = None, folder: Path = _CPUS
) -> Affinity:
    """Chooses the affinity of the workers.

    All physical cores are allowed even if there are fewer threads, so that the kernel can avoid cores that other
    processes use.

    Args:
        threads: Threads of every runtime.
        allowed: Logical CPUs that this process may use.
        quota: CPU time that the container may use, in CPUs; None for no limit.
        folder: Topology of the CPUs, in the format of /sys/devices/system/cpu.
    """
    if allowed is None:
        allowed, quota = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [], cpu.cgroup_quota()
    allowed = sorted(allowed)
    if quota is not None and quota < len(allowed):
        return Affinity((), f"not pinned: the container has a quota of {quota:g} CPUs but none of its own")
    try:
        cores = {_siblings(folder, number): number for number in reversed(allowed)}
    except OSError:
        return Affinity((), "not pinned: the topology of the CPUs is unknown")
    if len(cores) < threads:
        return Affinity((), f"not pinned: more threads than physical cores, of which there are {len(cores)}")
    return Affinity(tuple(sorted(cores.values())), "one logical CPU of each physical core")


def choose_threads(asked: int | None) -> int:
    """Returns the number of threads of every runtime: the configured number, or `default_threads`.

    Raises:
        UserError: This process may use fewer CPUs than that.
    """
    if asked is None:
        return default_threads()
    available = cpu.cpu_limit()
    if asked > available:
        raise UserError(
            f"threads={asked} exceeds the number of CPUs that this process may use, {available}: set threads to "
            f"{available} or less, or raise the container's CPU limit"
        )
    return asked


def default_threads(allowed: Iterable[int] | None = None, quota: float | None = None, folder: Path = _CPUS) -> int:
    """Returns one thread for each physical core, or for each CPU where the container has no cores of its own.

    Two threads of one core share its units for matrix products, so a second one gains little and delays the first.
    OMP_NUM_THREADS takes precedence. The arguments are those of `choose_affinity`.
    """
    cores = choose_affinity(1, allowed, quota, folder).cpus
    return min(cpu.threads(), len(cores)) if cores and not os.environ.get("OMP_NUM_THREADS") else cpu.threads()


def _siblings(folder: Path, number: int) -> str:
    """Returns the logical CPUs of the same core, as the kernel lists them."""
    return (folder / f"cpu{number}" / "topology" / "thread_siblings_list").read_text(encoding="ascii").strip()


@contextmanager
def pinned(cpus: Iterable[int]) -> Iterator[None]:
    """Pins this thread, whose child processes inherit the CPUs before they start any thread of their own.

    Args:
        cpus: Logical CPUs; empty leaves the thread as it is.
    """
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
