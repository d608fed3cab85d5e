"""Keep warnings of compilers and runtimes about themselves out of notebooks."""

import contextlib
import io
import logging
import warnings


@contextlib.contextmanager
def quiet(*loggers: str):
    """Suppress Python warnings, and records of these loggers below level ERROR; "root" is the root logger."""
    chosen = [logging.getLogger(None if name == "root" else name) for name in loggers]
    levels = [logger.level for logger in chosen]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in chosen:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(chosen, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def quiet_export():
    """`quiet` for graph exports, which on failure also print the graph so far."""
    with (
        quiet("torch", "torch.fx.experimental.symbolic_shapes", "torch.onnx", "onnxscript"),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield
