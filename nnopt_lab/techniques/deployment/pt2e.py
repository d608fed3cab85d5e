"""int8 by torchao's PT2E flow: export, insert observers, calibrate, convert observers to Q and DQ, `torch.compile`.

Source: torchao's PT2E documentation, https://docs.pytorch.org/ao/ (`torchao.quantization.pt2e`, the successor of the
deprecated `torch.ao.quantization`).
"""

import platform
from collections.abc import Sequence

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import compiler, processor
from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable, evaluation_copy, new_engine, require
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.torch_engines import exported_program, on_channels_last


def pt2e_int8(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """int8 by `torch.compile`, which replaces the Q and DQ operators of `pt2e_graph` by integer kernels."""
    converted, size = pt2e_graph(model, calibration)
    with quiet("torchao", "torch.utils._pytree"):
        run = on_channels_last(compiler.compile_graph(converted, calibration))
    return new_engine("PT2E int8", run, calibration, size)


def pt2e_graph(model: nn.Module, calibration: Sequence[Tensor]) -> tuple[nn.Module, int]:
    """Make the model's graph with Q and DQ operators, ready to compile, and count the bytes of its tensors in a file.

    Raises:
        EngineUnavailable: this is not an x86 processor, or a compiler or a package is missing.
    """
    if platform.machine() not in processor.X86:
        raise EngineUnavailable(f"X86InductorQuantizer is for x86 processors; this one is {platform.machine()}.")
    compiler.require_compiler()
    with quiet("torchao", "torch.utils._pytree"):
        flow = require("torchao.quantization.pt2e.quantize_pt2e", "torchao")
        x86 = require("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer", "torchao")
        quantizer = x86.X86InductorQuantizer().set_global(
            x86.get_default_x86_inductor_quantization_config(reduce_range=processor.sums_saturate())
        )
        observed = flow.prepare_pt2e(exported_program(evaluation_copy(model), calibration).module(), quantizer)
        with torch.no_grad():
            for batch in calibration:
                observed(batch)
        converted = flow.convert_pt2e(observed)
        used = {node.target for node in converted.graph.nodes if node.op == "get_attr"}
        state = {name: value.contiguous() for name, value in converted.state_dict().items() if name in used}
    return converted, len(save(state))
