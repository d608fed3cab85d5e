"""Linux system calls, through the C library, with which fork server and worker restrict themselves.

See namespaces(7), seccomp(2), landlock(7) and capabilities(7) for the numbers. This module imports nothing of the
package.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import re
import resource
import struct
from collections.abc import Sequence

NEW_MOUNTS, NEW_PIDS = 0x00020000, 0x20000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
_DETACH = 2
_ANY = -100  # AT_FDCWD
# Calls that no answer needs but an attack may use: (x86_64, aarch64), None if there is no such call.
_DENIED = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "mount_setattr": (442, 442),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "unshare": (272, 97),
    "setns": (308, 268),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_create": (319, 279),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "personality": (135, 92),
    "seccomp": (317, 277),
    "clock_settime": (227, 112),
    "settimeofday": (164, 170),
    "sched_setaffinity": (203, 122),
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SECCOMP = (317, 277)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags`; a new namespace of process ids applies to children."""
    _must(libc.unshare(flags), "unshare")


def rejoin_own_pids(pidfd: int) -> None:
    """Undo `unshare(NEW_PIDS)`: children start in this process's own namespace again, which it can leave again."""
    _must(libc.setns(pidfd, NEW_PIDS), "setns")


def private_mounts() -> None:
    """Enter a new mount namespace, from which no mount propagates back."""
    unshare(NEW_MOUNTS)
    _must(libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None), "mount --make-rprivate /")


def mount_scratch(path: str, megabytes: int) -> None:
    """Mount an empty in-memory folder of limited size over `path`."""
    options = f"size={megabytes}m,nr_inodes=1000,mode=1777".encode()
    _must(libc.mount(b"tmpfs", path.encode(), b"tmpfs", _NOSUID | _NODEV | _NOEXEC, options), f"tmpfs on {path}")


def hide(paths: Sequence[str]) -> None:
    """Cover folders with empty, read-only ones."""
    private_mounts()
    for path in paths:
        flags = _RDONLY | _NOSUID | _NODEV | _NOEXEC
        _must(libc.mount(b"tmpfs", path.encode(), b"tmpfs", flags, b"size=4k,mode=555"), f"tmpfs on {path}")


def unmount(path: str) -> None:
    """Unmount `path` for this process."""
    _must(libc.umount2(path.encode(), _DETACH), f"umount {path}")


def show_only(binds: Sequence, empty: Sequence[str], links: Sequence, scratch: str) -> None:
    """Replace the whole file system by read-only views of `binds` (source, target) and symbolic `links` (to, path).

    `scratch` becomes an empty folder. `empty` folders hide the contents of an earlier bind at that place; later binds
    may show parts of it again.
    """
    private_mounts()
    # Opened before the new root covers one of them; /proc/self/fd then still refers to them.
    handles = {source: os.open(source, os.O_PATH | os.O_CLOEXEC) for source, _ in binds}
    root = "/sys"  # any folder that is always there
    mount_scratch(root, 1)
    for to, path in links:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(to, root + path)
    for source, target in binds:
        _place(f"/proc/self/fd/{handles[source]}", root + target, target in empty)
    for handle in handles.values():
        os.close(handle)
    for folder in (scratch, "/old"):
        os.makedirs(root + folder, exist_ok=True)
    _read_only(root)
    _must(libc.pivot_root(root.encode(), (root + "/old").encode()), "pivot_root")
    os.chdir("/")
    unmount("/old")


def _place(source: str, target: str, hide: bool) -> None:
    if hide:
        mount_scratch(target, 1)
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT, 0o600))
    _must(libc.mount(source.encode(), target.encode(), None, _BIND | _RECURSIVE, None), f"bind {source}")


def _read_only(path: str) -> None:
    attributes = struct.pack("QQQQ", 1 | 2, 0, 0, 0)  # set: read-only and nosuid
    recursive = 0x8000
    _must(libc.syscall(442, _ANY, path.encode(), recursive, attributes, len(attributes)), "mount_setattr")


def drop_capabilities() -> None:
    """Give up every privilege for good, so that no program started later can regain one."""
    for capability in range(64):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; unknown ones fail, and need not be dropped
    give_up_new_privileges()
    header = struct.pack("Ii", 0x20080522, 0)
    _must(libc.capset(header, bytes(24)), "capset")


def give_up_new_privileges() -> None:
    """Give no program started from here on more rights than this process has."""
    _must(libc.prctl(38, 1, 0, 0, 0), "no_new_privs")


def landlock_version() -> int:
    """The kernel's Landlock version, 0 if it has none."""
    return max(0, libc.syscall(444, None, 0, 1))


def landlock(readable: Sequence[str], writable: Sequence[str]) -> None:
    """Allow only these paths to be opened from here on, and no TCP port or abstract socket. Needs no_new_privs."""
    version = landlock_version()
    files = (1 << (13 + (version >= 2) + (version >= 3))) - 1 | (1 << 15 if version >= 5 else 0)
    attributes = struct.pack("QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = _must(libc.syscall(444, attributes, size, 0), "landlock_create_ruleset")
    of_files, of_folders = 1 | 4, 1 | 4 | 8  # execute and read; read folders
    for path in (*readable, *writable):
        if not os.path.exists(path):
            continue
        allowed = files if path in writable else of_folders if os.path.isdir(path) else of_files
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        beneath = struct.pack("=Qi", allowed, handle)
        _must(libc.syscall(445, rules, 1, beneath, 0), f"landlock_add_rule {path}")
        os.close(handle)
    _must(libc.syscall(446, rules, 0), "landlock_restrict_self")
    os.close(rules)


def deny_calls() -> None:
    """Refuse new processes, programs, sockets, mounts and similar calls from here on (seccomp). Needs no_new_privs."""
    column, architecture = _MACHINES[platform.machine()]
    denied = sorted(numbers[column] for numbers in _DENIED.values() if numbers[column] is not None)
    program = [
        (0x20, 0, 0, 4),  # the architecture of the call
        (0x15, 1, 0, architecture),
        (0x06, 0, 0, 0x80000000),  # another one's numbers mean other calls: kill
        (0x20, 0, 0, 0),  # the call's number
        (0x35, 0, 1, 0x40000000),  # x32's calls
        (0x06, 0, 0, 0x00050001),
        (0x15, 0, 1, _CLONE3[column]),  # its arguments can't be inspected: report "not implemented", so clone is used
        (0x06, 0, 0, 0x00050026),
        (0x15, 0, 4, _CLONE[column]),
        (0x20, 0, 0, 16),
        (0x45, 1, 0, 0x00010000),  # CLONE_THREAD: a thread is not a new process
        (0x06, 0, 0, 0x00050001),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    for number in denied:
        program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050001)]  # EPERM
    program.append((0x06, 0, 0, 0x7FFF0000))
    described, _steps = _described(program)
    _must(libc.prctl(22, 2, described, 0, 0), "seccomp")


def watch_starts() -> int:
    """Make every start of a thread or process from here on wait for `answer_start`; returns the handle that it needs.

    Needs no_new_privs. The owner of the handle decides, so pass it on and close it here.

    Raises:
        OSError: the kernel is older than 5.5, or another process already watches this one.
    """
    machine = platform.machine()
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"unknown machine {machine}")
    column, architecture = _MACHINES[machine]
    program = [
        (0x20, 0, 0, 4),  # the architecture of the call
        (0x15, 1, 0, architecture),
        (0x06, 0, 0, 0x7FFF0000),  # another one's numbers mean other calls; `deny_calls` ends those
        (0x20, 0, 0, 0),  # the call's number
    ]
    for numbers in (_CLONE, _CLONE3, _DENIED["fork"], _DENIED["vfork"]):
        if numbers[column] is not None:
            program += [(0x15, 0, 1, numbers[column]), (0x06, 0, 0, 0x7FC00000)]  # SECCOMP_RET_USER_NOTIF
    program.append((0x06, 0, 0, 0x7FFF0000))
    described, _steps = _described(program)
    # SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER
    return _must(libc.syscall(_SECCOMP[column], 1, 8, described), "seccomp")


def answer_start(handle: int, allowed: bool) -> None:
    """Let the start that waits at a handle of `watch_starts` succeed, or fail as if the system had no resources."""
    waiting = bytearray(80)  # struct seccomp_notif
    with contextlib.suppress(OSError):  # the waiting thread has ended
        fcntl.ioctl(handle, 0xC0502100, waiting)
        (id,) = struct.unpack_from("=Q", waiting)
        error, flags = (0, 1) if allowed else (-errno.EAGAIN, 0)  # 1: continue the call
        fcntl.ioctl(handle, 0xC0182101, struct.pack("=QqiI", id, 0, error, flags))


def _described(program: Sequence[tuple]) -> tuple[bytes, ctypes.Array]:
    """A seccomp filter in the kernel's format, and its steps, which must live equally long."""
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    return struct.pack("HxxxxxxQ", len(program), ctypes.addressof(steps)), steps


def no_more_huge_pages() -> None:
    """Give this process and its forks only small pages from here on; existing huge pages stay."""
    libc.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE; if the kernel doesn't know it, there is nothing to switch off


def address_space() -> int:
    """Find the bytes of address space in use by bisection: the lowest limit under which one more page fits."""
    import mmap

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, 1 << 46
    try:
        while high - low > 1 << 20:
            middle = (low + high) // 2
            resource.setrlimit(resource.RLIMIT_AS, (middle, hard))
            try:
                mmap.mmap(-1, mmap.PAGESIZE).close()
                high = middle
            except (OSError, MemoryError):
                low = middle
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return high


def limit_tasks(most: int) -> None:
    """Limit the threads and processes of this process's user, if the kernel counts them per sandbox.

    Before Linux 5.14, it counts everything that the user runs on this machine, so nothing is limited. Root never is.
    """
    version = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
    if version >= (5, 14):
        _lower(resource.RLIMIT_NPROC, most)


def limit(memory: int, seconds: int, file_bytes: int, open_files: int) -> None:
    """Set hard limits of address space [bytes], processor time [s], file size [bytes] and open files."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(what, most)


def _lower(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
