"""The little of torch.distributed that a stage needs outside Trainer; all of it is free with one process."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")
_PATIENCE = timedelta(hours=12)
# What makes a process a rank; a child that only evaluates or measures must not have them.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def world_size() -> int:
    """Number of processes that train together, as torchrun or the operator set it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    """Number of those processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def rank() -> int:
    """This process's number, 0 to world size - 1."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this is rank 0, the one that writes files and logs."""
    return rank() == 0


def local_rank() -> int:
    """This process's number on this machine, 0 to local world size - 1."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def node_rank() -> int:
    """This machine's number among those that train together."""
    return int(os.environ.get("GROUP_RANK", "0"))


def is_local_main() -> bool:
    """Whether this is the first process of its node, the one that downloads for all of them."""
    return local_rank() == 0


def device() -> "torch.device":
    """Where this process computes: its GPU, or the CPU where torch sees none."""
    import torch

    return torch.device("cuda", local_rank()) if torch.cuda.is_available() else torch.device("cpu")


def broadcast(value: Value) -> Value:
    """Gives every rank the value of rank 0."""
    if world_size() == 1:
        return value
    _initialise()
    import torch.distributed

    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def gather(value: Value) -> list[Value]:
    """Gives every rank the values of all ranks, rank 0's first."""
    if world_size() == 1:
        return [value]
    _initialise()
    import torch.distributed

    values = [value] * world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def broadcast_weights(model: "torch.nn.Module") -> None:
    """Gives every rank's model the parameters and buffers of rank 0's."""
    if world_size() == 1:
        return
    _initialise()
    import torch.distributed

    for tensor in model.state_dict().values():
        torch.distributed.broadcast(tensor, src=0)


def barrier() -> None:
    """Waits until every rank has come this far."""
    if world_size() > 1:
        _initialise()
        import torch.distributed

        torch.distributed.barrier()


def _initialise() -> None:
    # Through accelerate, so that Trainer finds its own process group and does not make another. The timeout is long
    # since the other ranks wait while rank 0 evaluates.
    import torch
    from accelerate import PartialState

    if torch.cuda.is_available():
        PartialState(timeout=_PATIENCE)
    else:
        PartialState(cpu=True, backend="gloo", timeout=_PATIENCE)
