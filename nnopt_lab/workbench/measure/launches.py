"""Count the operators that a function calls: on an accelerator, each is at least one launch."""

from collections import Counter
from collections.abc import Callable

from torch.utils._python_dispatch import TorchDispatchMode


def operator_calls(function: Callable[[], object]) -> Counter[str]:
    """The operators that one call of a function runs below autograd, with those of the backward pass.

    Views, which only look at a tensor differently, aren't counted: no kernel runs for them. Some operators launch
    several kernels, so the sum is a lower bound of the launches on an accelerator.

    Args:
        function: runs once.

    Returns:
        Calls by operator, such as {"convolution": 2, "relu": 3}.
    """
    counter = _Counter()
    with counter:
        function()
    return counter.calls


class _Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not func.is_view and func.overloadpacket.__name__ not in _WITHOUT_KERNEL:
            self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


_WITHOUT_KERNEL = {
    *("detach", "empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view"),
    *("_record_function_enter_new", "_record_function_exit"),
    "_local_scalar_dense",  # the host reads a number
}
