"""The judge's sandboxes are forked from the tests' template, since importing torch takes seconds."""

import pytest

from nnopt_lab.grading import pool


@pytest.fixture(scope="module", autouse=True)
def forked_sandboxes(lend_template):
    start = pool.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "start", lambda settings: start(settings, lend_template(settings.kind, settings.limits)))
        yield
