"""Run an exported folder's load.py for another process; only numpy and the runtime of the file are needed.

`fresh_process` starts this file as `python -c TEXT FOLDER`. Requests and answers are pickled: (name, arguments), and
(True, result) or (False, sentence).
"""

import contextlib
import ctypes
import gc
import os
import pickle
import sys
import time


class Worker:
    """Answers requests by the methods that they name."""

    def open(self, kind, threads):
        """Load a network."""
        import load

        self.load = lambda: load.load(kind, threads)
        self.run = self.load()

    def weights(self):
        """Return the weights, arrays by name."""
        import load

        return load.weights()

    def outputs(self, x):
        """Run the network."""
        return self.run(x)

    def seconds(self, x, calls, processor):
        """Time `calls` calls after an untimed one, in processor time if `processor`."""
        x = self.batch if x is None else x
        self.batch = x
        clock = time.process_time if processor else time.perf_counter
        self.run(x)
        started = clock()
        for _ in range(calls):
            self.run(x)
        return clock() - started

    def memory(self, x):
        """Measure bytes of resident memory for the network and a call, beyond what its runtime needs; None if unknown.

        The network is loaded and run once before, so that nothing is imported while this measures.
        """
        self.run(x[:1])
        self.run = None
        before = _resident("VmRSS")
        self.run = self.load()
        _resident("VmRSS")  # what only loading needed doesn't count
        if before is None or not _reset_peak():
            return None
        for _ in range(3):
            self.run(x)
        return max(_read("VmHWM") - before, 0)


def _resident(name):
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return _read(name)


def _read(name):
    """A line of /proc/self/status in bytes; None where there is none."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith(name + ":"):
                return 1024 * int(line.split()[1])
    return None


def _reset_peak():
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")
        return True
    return False


def main():
    """Answer until the other process closes its end."""
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # whatever a runtime prints must not come between the answers
    sys.path.insert(0, sys.argv[1])
    worker = Worker()
    while True:
        try:
            name, arguments = pickle.load(asked)
        except EOFError:
            return
        try:
            answer = True, getattr(worker, name)(*arguments)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}"
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
