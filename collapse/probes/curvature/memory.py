"""How much memory is free."""

from pathlib import Path

import psutil
import torch

_CGROUPS = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device) -> int:
    """Memory that nobody uses now: of a GPU, or of the machine or container.

    What torch holds of a GPU without using it counts as free.
    """
    if device.type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + idle
    available = int(psutil.virtual_memory().available)
    left = container_bytes_left(_CGROUPS)
    return available if left is None else min(available, left)


def container_bytes_left(folder: Path) -> int | None:
    """What a container's limit (cgroup 2) leaves, or None where there is no limit.

    Args:
        folder: of the control group, where a container sees its own.
    """
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        statistics = (folder / "memory.stat").read_text().split()
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    numbers = dict(zip(statistics[::2], map(int, statistics[1::2]), strict=True))
    # The kernel gives such pages of files back as soon as somebody needs room.
    return max(0, int(limit) - used + numbers.get("inactive_file", 0))
