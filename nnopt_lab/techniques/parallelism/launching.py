"""Start workers and processes: those of a DataLoader, and those of torchrun.

Both start as new processes, never forked from a notebook's kernel: a fork copies the locks of threads that it does not
copy. They share nothing with the kernel but what is sent to them.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import threading

from nnopt_lab.workbench import smoke


def worker_context() -> multiprocessing.context.BaseContext:
    """Start method of a DataLoader's workers (`multiprocessing_context`): forkserver, on Windows spawn.

    The fork server imports once what the workers need.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nnopt_lab.workbench.data"])
    return context


def launch(*arguments, processes: int = 2, restarts: int = 0, show=print, seconds: float = 300) -> dict:
    """Run `data_parallel` by torchrun, in processes of its own with one thread each.

    Args:
        arguments: of the script, see there.
        processes: at least 1.
        restarts: how often torchrun may start all of them again when one has failed.
        show: called with what the script says of its training, line by line, as it comes.
        seconds: after which torchrun is stopped.

    Returns:
        The results by job.

    Raises:
        RuntimeError: the processes failed or were stopped; the message ends with the first error that they wrote of.
            Always in smoke mode.
    """
    if smoke.on():
        raise RuntimeError("smoke mode starts no processes")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    command += [f"--nproc-per-node={processes}", f"--max-restarts={restarts}", "-m"]
    command += ["nnopt_lab.techniques.parallelism.data_parallel", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if sys.platform == "win32":
        environment["USE_LIBUV"] = "0"  # torch is built without it there, and asks for it all the same
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
        errors = [line.strip() for line in written if "Error: " in line] or ["it wrote of no error."]
        raise RuntimeError(f"torchrun ended with status {torchrun.returncode}: {errors[0]}")
    return results
