"""AOTInductor's failures are told in one line; that its program is the model is tested with the targets."""

import pytest

from nnopt_lab.techniques.deployment import EngineUnavailable
from nnopt_lab.techniques.deployment.ahead_of_time import exported

pytestmark = pytest.mark.own_process


def test_what_it_can_t_do_is_told_in_one_line(layers, vectors, monkeypatch):
    import torch._inductor as inductor

    def fails(*arguments, **options):
        raise RuntimeError("no linker\nand a long trace")

    monkeypatch.setattr("nnopt_lab.techniques.deployment.compiler.require_compiler", lambda *_: None)
    monkeypatch.setattr(inductor, "aoti_compile_and_package", fails)
    with pytest.raises(EngineUnavailable, match=r"^AOTInductor fails here: no linker$"):
        exported(layers, [vectors])
