"""Where there is no C++ compiler, or it fails, whatever compiles says so in a sentence."""

import pytest
import torch

from nnopt_lab.techniques.deployment import EngineUnavailable, compiler
from nnopt_lab.techniques.deployment.ahead_of_time import exported
from nnopt_lab.techniques.deployment.compiler import compiled, compiled_bfloat16
from nnopt_lab.techniques.deployment.pt2e import pt2e_int8

pytestmark = pytest.mark.own_process


@pytest.mark.parametrize("engine", [compiled, compiled_bfloat16, exported, pt2e_int8], ids=lambda f: f.__name__)
def test_a_missing_compiler_is_said_in_a_sentence(engine, layers, vectors, monkeypatch):
    from torch._inductor import cpp_builder, exc

    def none_found():
        raise exc.InvalidCxxCompiler()

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(EngineUnavailable, match=r"needs a C\+\+ compiler .* none was found"):
        engine(layers, [vectors])


def test_what_the_compiler_can_t_do_is_told_in_one_line(layers, vectors, monkeypatch):
    def fails(x):
        raise RuntimeError("no linker\nand a long trace")

    monkeypatch.setattr(compiler, "require_compiler", lambda *_: None)
    monkeypatch.setattr(torch, "compile", lambda graph, dynamic: fails)
    with pytest.raises(EngineUnavailable, match=r"^torch\.compile fails here: no linker$"):
        compiled(layers, [vectors])
