"""Run an exported network in a new process that has the folder's load.py, and not this package."""

import contextlib
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import torch
from torch import Tensor

from nnopt_lab.techniques.deployment.engine import EngineUnavailable
from nnopt_lab.techniques.network_checks import first_sentence
from nnopt_lab.techniques.search import worker
from nnopt_lab.workbench import measure

LONGEST_ANSWER = 600.0  # seconds


class FreshProcess(measure.SelfTimed):
    """A file of an exported folder, computed in a new process; use it in a `with` block.

    A call with float32 [N, ...] returns the logits.

    Args:
        folder: contains load.py, config.json and the file.
        kind: a key of `standalone.FILES`.
        threads: number of threads to compute with; with one, `seconds` returns processor time.

    Raises:
        EngineUnavailable: the file cannot be read, or the process ended.
    """

    def __init__(self, folder: Path, kind: str, threads: int):
        self._kind, self._sent = kind, None
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed below
        self._process = subprocess.Popen(
            [sys.executable, "-c", Path(worker.__file__).read_text(encoding="utf-8"), str(Path(folder).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=folder,
        )
        try:
            self.set_threads(threads)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "FreshProcess":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __call__(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._ask("outputs", x.cpu().numpy()))

    def set_threads(self, threads: int) -> None:
        """Compute with another number of threads from now on."""
        self.threads = threads
        self._ask("open", self._kind, threads)

    def seconds(self, example: Tensor, calls: int) -> float:
        known = example is self._sent
        self._sent = example
        return self._ask("seconds", None if known else example.cpu().numpy(), calls, self.threads == 1)

    def weights(self) -> dict[str, Tensor]:
        """Return the network's weights as load.py reads them, by name."""
        return {name: torch.from_numpy(value) for name, value in self._ask("weights").items()}

    def peak_memory(self, x: Tensor) -> int | None:
        """Measure the resident bytes of the network and a call with `x`, beyond its runtime's; None if unknown.

        Linux keeps the peak of a process's memory; other systems have none that can be reset.
        """
        return self._ask("memory", x.cpu().numpy())

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def _ask(self, name: str, *arguments):
        late = threading.Timer(LONGEST_ANSWER, self._process.kill)
        late.daemon = True
        late.start()
        try:
            pickle.dump((name, arguments), self._process.stdin)
            self._process.stdin.flush()
            works, answer = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise EngineUnavailable(f"The new process ended ({self._last_words()}).") from None
        finally:
            late.cancel()
        if not works:
            raise EngineUnavailable(f"The new process failed ({first_sentence(answer)}).")
        return answer

    def _last_words(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"status {status}"
