"""int8 and fp8 on an accelerator, by torchao: weights and activations of linear layers; the rest stays bfloat16.

Weights have one scale per output. Activations get one scale per row, computed in every call (dynamic quantization), so
no calibration is needed. torch has no int8 or fp8 convolutions on accelerators.
"""

from collections.abc import Callable

from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import EngineUnavailable, require
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.network_checks import make_plain

MULTIPLE = 16  # of inputs and outputs: the tile of the tensor cores' 8-bit products
MIN_ROWS = 32  # `torch._int_mm` on CUDA needs more than 16 rows
CONFIGS = {"int8": "Int8DynamicActivationInt8WeightConfig", "fp8": "Float8DynamicActivationFloat8WeightConfig"}


def fitting(layer: nn.Module, rows: int = MULTIPLE, columns: int = MULTIPLE) -> bool:
    """Tell whether a layer is linear, with outputs a multiple of `rows` and inputs a multiple of `columns`."""
    return type(layer) is nn.Linear and layer.out_features % rows == 0 and layer.in_features % columns == 0


def require_fitting(model: nn.Module, what: str, rows: int = MULTIPLE, columns: int = MULTIPLE) -> None:
    """Raise `EngineUnavailable` if no layer is `fitting`; the sentence begins with `what`."""
    if not any(fitting(layer, rows, columns) for layer in model.modules()):
        raise EngineUnavailable(
            f"{what} needs linear layers with inputs a multiple of {columns} and outputs of {rows}; the model has none."
        )


def make_linear_plain(model: nn.Module) -> None:
    """Replace masks and weight norms of linear layers by ordinary weights, in place; nothing recomputes them then."""
    for layer in model.modules():
        if type(layer) is nn.Linear:
            make_plain(layer)


def quantize_linear(model: nn.Module, precision: str) -> nn.Module:
    """Quantize the linear layers of a bfloat16 network in place, and return it.

    Args:
        precision: "int8" or "fp8".

    Raises:
        EngineUnavailable: torchao can't be imported, or no layer can be quantized.
    """
    require_fitting(model, precision)
    make_linear_plain(model)
    with quiet("torchao", "torch.utils._pytree"):
        api = require("torchao.quantization", "torchao")
        options = {"granularity": api.PerRow()} if precision == "fp8" else {}
        config = getattr(api, CONFIGS[precision])(set_inductor_config=False, **options)
        api.quantize_(model, config, filter_fn=lambda layer, name: fitting(layer))
    return model


def with_enough_rows(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Wrap `run` to pad small batches with repeated pictures, whose outputs are dropped."""

    def filled(x: Tensor) -> Tensor:
        if len(x) >= MIN_ROWS:
            return run(x)
        return run(x.repeat(-(-MIN_ROWS // len(x)), *[1] * (x.dim() - 1))[:MIN_ROWS])[: len(x)]

    return filled


def stored_bytes(model: nn.Module) -> int:
    """Count the bytes of a network's tensors, including the integers and scales inside quantized ones."""
    return sum(map(_tensor_bytes, model.state_dict().values()))


def _tensor_bytes(tensor: Tensor) -> int:
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(_tensor_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return tensor.nbytes
