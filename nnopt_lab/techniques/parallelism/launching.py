"""Start the workers of a DataLoader and the processes of torchrun.

Both start as new processes, never as forks of a notebook's kernel: a fork copies locks, but not the threads that hold
them. The new processes only get what is sent to them.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import threading

from nnopt_lab.workbench import smoke


def worker_context() -> multiprocessing.context.BaseContext:
    """Start method for a DataLoader's workers (`multiprocessing_context`): forkserver, or spawn on Windows.

    The fork server imports the workers' modules once.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nnopt_lab.workbench.data"])
    return context


def launch(*arguments, processes: int = 2, restarts: int = 0, show=print, seconds: float = 300) -> dict:
    """Run `data_parallel` by torchrun, in new processes with one thread each.

    Args:
        arguments: of the script `data_parallel`.
        processes: at least 1.
        restarts: how often torchrun may restart all processes after one has failed, at least 0.
        show: a function called with each line of the script's training log as it appears.
        seconds: time limit, after which torchrun is stopped.

    Returns:
        The results by job.

    Raises:
        RuntimeError: the processes failed or were stopped; the message ends with the first error in their output.
            Always raised in smoke mode.
    """
    if smoke.on():
        raise RuntimeError("smoke mode starts no processes")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    command += [f"--nproc-per-node={processes}", f"--max-restarts={restarts}", "-m"]
    command += ["nnopt_lab.techniques.parallelism.data_parallel", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if sys.platform == "win32":
        environment["USE_LIBUV"] = "0"  # torch's Windows build lacks libuv, but uses it by default
    results, written = {}, []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as torchrun:
        timer = threading.Timer(seconds, torchrun.terminate)
        timer.start()
        try:
            for line in torchrun.stdout:
                if line.startswith('{"'):
                    results |= json.loads(line)
                elif line.startswith("attempt "):
                    show(line.rstrip())
                else:
                    written.append(line)
        except BaseException:
            torchrun.terminate()
            raise
        finally:
            timer.cancel()
    if torchrun.returncode:
        errors = [line.strip() for line in written if "Error: " in line] or ["its output contains no error."]
        raise RuntimeError(f"torchrun ended with status {torchrun.returncode}: {errors[0]}")
    return results
