"""Counts the cores that this process may use, which are fewer than the machine's in a container with a quota.

`os.cpu_count()` counts the node's cores. A hub that gives each learner 2 of 64 cores sets a quota (`cpu.max`); a
program with 64 threads then uses up its share in the first milliseconds of each period and stands still for the rest.
"""

import contextlib
import os
import sys
from pathlib import Path

CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores():
    """The number of cores that this process may use, an int from 1.

    It is the smallest of the machine's cores, the process's affinity, and the quotas of its control groups (cgroup v2
    and v1, those above it included), which are rounded down: a thread for a part of a core would be stopped in each
    period, while the others wait for it.
    """
    return max(1, min(_cores_without_quota(), int(min(_quotas(), default=2**16))))


def quota():
    """The control groups' limit in cores, a float such as 1.5; None if there is none."""
    return min(_quotas(), default=None)


def limit_threads():
    """Let torch start with no more threads than the quota allows; call it before torch is imported.

    Does nothing without a quota, or if OMP_NUM_THREADS is set.
    """
    cores = usable_cores()
    if "OMP_NUM_THREADS" in os.environ or cores >= _cores_without_quota():
        return
    os.environ["OMP_NUM_THREADS"] = str(cores)
    torch = sys.modules.get("torch")
    if hasattr(torch, "set_num_threads"):  # it was imported before, and has read the variable already
        torch.set_num_threads(min(cores, torch.get_num_threads()))


def _cores_without_quota():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas():
    """Each limit, in cores, of the groups that this process is in."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in [*lines, "0::/", "0:cpu:/"]:  # a container may not see the path, only its own group as the root
        _, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        if not controllers:
            yield from _limits_above(CGROUPS, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            for mount in {controllers, "cpu", "cpu,cpuacct", "cpuacct,cpu"}:
                yield from _limits_above(CGROUPS / mount, path, _quota_v1)


def _limits_above(mount, path, read):
    """The limits of a group and of those that contain it."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts) + 1):
        with contextlib.suppress(OSError, ValueError):
            share, period = read(mount.joinpath(*parts[:length]))
            if share > 0 and period > 0:
                yield share / period


def _quota_v2(group):
    share, period = (group / "cpu.max").read_text().split()
    return int(share), int(period)  # "max" is no number: no limit


def _quota_v1(group):
    return tuple(int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
