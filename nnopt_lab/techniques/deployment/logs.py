"""Quiet libraries: what compilers and runtimes warn of about themselves does not reach a notebook."""

import contextlib
import logging
import warnings


@contextlib.contextmanager
def quiet(*loggers: str):
    """Suppress Python warnings, and what these loggers say below the level of an error; "root" is the root logger."""
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
