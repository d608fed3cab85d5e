"""Quiet libraries: warnings are suppressed inside the block, errors are not, and afterwards all is as before."""

import logging
import warnings

import pytest

from nnopt_lab.techniques.deployment.logs import quiet


def test_only_errors_come_through(caplog):
    logger = logging.getLogger("noisy")
    logger.setLevel(logging.INFO)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quiet("noisy", "root"):
            warnings.warn("deprecated", stacklevel=1)
            logger.warning("slow")
            logging.getLogger().warning("slow")
            logger.error("broken")
        logger.info("as before")
    assert not heard and [record.message for record in caplog.records] == ["broken", "as before"]


def test_levels_come_back_after_an_exception():
    level = logging.getLogger("noisy").level
    with pytest.raises(KeyError), quiet("noisy"):
        raise KeyError
    assert logging.getLogger("noisy").level == level
