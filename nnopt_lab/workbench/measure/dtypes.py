"""Watch which dtypes a computation uses."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Dtypes(TorchDispatchMode):
    """A context in which every operation notes the dtypes of the tensors that it reads or writes.

    `seen` is the set of these dtypes. Operations inside a compiled or scripted kernel are not seen.
    """

    def __init__(self):
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.seen |= {leaf.dtype for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)}
        return result
