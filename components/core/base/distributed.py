"""Ranks, broadcasts and barriers for use outside Trainer; with one process, they do nothing."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")
_TIMEOUT = timedelta(hours=12)
# These variables make a process a rank. A child that only evaluates or measures must not inherit them.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def world_size() -> int:
    """Returns the number of training processes, as torchrun or the operator set it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    """Returns the number of training processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def rank() -> int:
    """Returns the rank of this process, 0 to world size - 1."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this is rank 0, which writes files and logs."""
    return rank() == 0


def local_rank() -> int:
    """Returns the rank of this process on its machine, 0 to local world size - 1."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def node_rank() -> int:
    """Returns the rank of this machine, 0 to number of nodes - 1."""
    return int(os.environ.get("GROUP_RANK", "0"))


def is_local_main() -> bool:
    """Whether this is the first process of its node, which downloads for the others."""
    return local_rank() == 0


def device() -> "torch.device":
    """Returns the GPU of this process, or the CPU if torch finds no GPU."""
    import torch

    return torch.device("cuda", local_rank()) if torch.cuda.is_available() else torch.device("cpu")


def broadcast(value: Value) -> Value:
    """Returns the value of rank 0 on every rank."""
    if world_size() == 1:
        return value
    _initialise()
    import torch.distributed

    values = [value]
    torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


def call_on_main(function: Callable[Arguments, Value], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
    """Calls a function on rank 0 alone, and returns its result on every rank."""
    return cast(Value, broadcast(function(*args, **kwargs) if is_main() else None))


def gather(value: Value) -> list[Value]:
    """Returns the values of all ranks, in the order of the ranks, on every rank."""
    if world_size() == 1:
        return [value]
    _initialise()
    import torch.distributed

    values = [value] * world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def broadcast_weights(model: "torch.nn.Module") -> None:
    """Copies the parameters and buffers of rank 0's model to the models of all ranks."""
    if world_size() == 1:
        return
    _initialise()
    import torch.distributed

    for tensor in model.state_dict().values():
        torch.distributed.broadcast(tensor, src=0)


def barrier() -> None:
    """Waits until every rank has reached this call."""
    if world_size() > 1:
        _initialise()
        import torch.distributed

        torch.distributed.barrier()


def _initialise() -> None:
    # Through accelerate, so that Trainer uses this process group and does not create another. The timeout is long
    # because the other ranks wait while rank 0 evaluates.
    import torch
    from accelerate import PartialState

    if torch.cuda.is_available():
        PartialState(timeout=_TIMEOUT)
    else:
        PartialState(cpu=True, backend="gloo", timeout=_TIMEOUT)
