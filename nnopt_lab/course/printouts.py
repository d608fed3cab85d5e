"""Show an answer's printed and displayed output once, although a check calls it many times."""

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

from nnopt_lab.course.cell_output import shell

LONGEST = 20_000  # most characters kept, because an endless loop may print


class Printouts:
    """Captures the output of each case, and shows that of the `chosen` one at the end.

    Attributes:
        chosen: index of the case; default the last one, such as the one that Ctrl-C stopped.
    """

    def __init__(self):
        self.chosen: int | None = None
        self._texts: dict[int, _Text] = {}
        self._displays: dict[int, object] = {}

    @contextmanager
    def of(self, case: int) -> Iterator[None]:
        """Capture the output of this block."""
        self._texts[case] = _Text()
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(self._texts[case]))
            if captured := _capture_of_displays():
                self._displays[case] = stack.enter_context(captured)
            yield

    def __enter__(self) -> "Printouts":
        return self

    def __exit__(self, *error) -> None:
        case = next(reversed(self._texts), None) if self.chosen is None else self.chosen
        if case in self._texts:
            sys.stdout.write(self._texts[case].text.encode("utf-8", "replace").decode())
        if case in self._displays:
            for output in self._displays[case].outputs:
                output.display()


class _Text(io.TextIOBase):
    """Accepts any amount of text and keeps its beginning."""

    def __init__(self):
        self.text = ""

    def write(self, text: str) -> int:
        if len(self.text) < LONGEST:
            self.text += text[: LONGEST - len(self.text)]
        return len(text)


def _capture_of_displays():
    """IPython's context manager that captures displayed output, or None outside a notebook."""
    if shell() is None:
        return None
    from IPython.utils.capture import capture_output

    return capture_output(stdout=False, stderr=False)
