"""Fingerprints of everything a computation depends on: numbers, tensors, networks, functions with their code.

A cached result is valid only while all its inputs are unchanged. Weights and pictures are not enough: an activation,
the code of a forward pass or a transform, or a buffer outside the state dict may differ too.
"""

import contextlib
import copyreg
import dis
import hashlib
import inspect
import io
import logging
import re
import types
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_SIMPLE = (type(None), bool, int, float, complex, str, bytes)
_NAMED = (types.BuiltinFunctionType, types.ModuleType, torch.dtype, torch.device, np.dtype)
_PLAIN_NUMBERS = (bool, int, float, str, tuple, Tensor, np.ndarray, np.generic)
_CALLABLE = (types.FunctionType, types.BuiltinFunctionType, partial)
# A module's attributes that don't affect its output in evaluation mode.
_BOOKKEEPING = re.compile(
    r"training|call_super_init|_is_full_backward_hook|_non_persistent_buffers_set|.*_hooks(_\w+)?"
)
_CHANGES = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "clear"}


def fingerprint(*values) -> str:
    """Return 16 hexadecimal digits that are equal for equal values, in every process with the same Python and torch.

    For a network, they depend on its class's code, its attributes, parameters, buffers, children and forward hooks
    (their code, and the numbers that they read and never change), but not on its mode. For a function, they depend on
    its code, its defaults, its closure, and the functions and numbers that it reads from its module; for any other
    object, on its class's code and its attributes.
    """
    seen = hashlib.sha256()
    for part in _parts(values, {}):
        seen.update(part if isinstance(part, bytes) else part.encode())
        seen.update(b"\0")
    return seen.hexdigest()[:16]


def _parts(value, met: dict[int, object]) -> Iterator[str | bytes]:
    """Yield the parts of a value. `met` contains the objects so far: a repeated one is named by its number."""
    if isinstance(value, _SIMPLE) and not isinstance(value, np.generic):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, Tensor):
        yield from _numbers(value)
    elif isinstance(value, (np.ndarray, np.generic)):
        yield from _array(np.asarray(value), met)
    elif id(value) in met:
        yield f"again {met[id(value)][0]}"
    elif isinstance(value, (logging.Logger, io.IOBase)):  # they refer to the whole process, which changes no result
        yield f"{type(value).__name__} {getattr(value, 'name', '')}"
    elif isinstance(value, _NAMED):
        yield f"{type(value).__name__} {getattr(value, '__name__', value)}"
    else:
        met[id(value)] = len(met), value  # kept alive, so that no other object gets its id
        yield from _structure(value, met)


def _structure(value, met: dict) -> Iterator[str | bytes]:
    yield type(value).__qualname__
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item, met)
    elif isinstance(value, (set, frozenset)):
        yield from sorted(fingerprint(item) for item in value)
    elif isinstance(value, (dict, types.MappingProxyType)):
        for key, item in value.items():
            yield from _parts(key, met)
            yield from _parts(item, met)
    elif isinstance(value, types.FunctionType):
        yield from _function(value, met)
    elif isinstance(value, types.CodeType):
        yield from _code(value, met)
    elif isinstance(value, types.MethodType):
        yield from _parts((value.__func__, value.__self__), met)
    elif isinstance(value, partial):
        yield from _parts((value.func, value.args, value.keywords), met)
    elif isinstance(value, type):
        yield from _class(value, met)
    elif isinstance(value, nn.Module):
        yield from _module(value, met)
    elif hasattr(value, "fingerprint_parts"):  # a value that is too large to be read whole
        yield from _parts(value.fingerprint_parts(), met)
    elif hasattr(value, "__dict__"):
        yield from _parts((type(value), vars(value)), met)
    else:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        yield from _parts([(name, getattr(value, name, None)) for name in slots] or _as_pickled(value), met)


def _as_pickled(value) -> list:
    """Parts from which pickle would rebuild an object of a C class (a date, a pattern, a range); empty if it can't."""
    if type(value).__module__.startswith("torch."):
        return []
    try:
        reduced = copyreg.dispatch_table.get(type(value), lambda thing: thing.__reduce_ex__(4))(value)
    except Exception:  # locks, generators and other objects that can't be pickled
        return []
    return [list(part) if isinstance(part, Iterator) else part for part in reduced[1:] if part is not None]


def _array(array: np.ndarray, met: dict) -> Iterator[str | bytes]:
    yield f"{array.dtype.str} {array.dtype.names} {array.shape}"
    if array.dtype.hasobject:
        yield from _parts(array.tolist(), met)
    else:
        yield np.ascontiguousarray(array).tobytes()


def _numbers(x: Tensor) -> Iterator[str | bytes]:
    if is_lazy(x):
        yield f"{x.dtype}, not initialised"
        return
    yield f"{x.dtype} {list(x.shape)}"
    if x.is_meta:
        return
    x = x.detach().cpu()
    if x.layout == torch.strided and not x.is_quantized and x.numel():
        yield x.resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif x.numel():
        yield repr(x)


def _module(module: nn.Module, met: dict) -> Iterator[str | bytes]:
    if isinstance(module, torch.jit.ScriptModule):
        yield module.code
    yield from _parts(type(module), met)
    held = vars(module)
    forwards = [module.forward, *(vars(kind).get("forward") for kind in type(module).__mro__)]
    written = set().union(*(_changed(getattr(forward, "__code__", None)) for forward in forwards))
    for name, value in sorted(held.items()):
        # A weight that a mask or a weight norm computes is not state.
        computed = f"{name}_orig" in held["_parameters"] or f"{name}_g" in held["_parameters"]
        if not (_BOOKKEEPING.fullmatch(name) or name in written or (computed and isinstance(value, Tensor))):
            yield name
            yield from _parts(value, met)
    for hook in [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]:
        yield from _hook(hook, met)


def _hook(hook, met: dict) -> Iterator[str | bytes]:
    # Only the code and the numbers that it reads: a hook may just record, and its records change with every call.
    held = []
    while isinstance(hook, partial):
        held += [*hook.args, *(pair for pair in hook.keywords.items() if isinstance(pair[1], _PLAIN_NUMBERS))]
        hook = hook.func
    function, owner = getattr(hook, "__func__", hook), getattr(hook, "__self__", hook)
    if isinstance(function, types.FunctionType):
        yield from _code(function.__code__, met)
        held += [function.__defaults__, function.__kwdefaults__, *_read_numbers(function)]
    else:
        yield from _parts(type(hook), met)
    if not isinstance(owner, (types.FunctionType, types.ModuleType)):
        methods = [pair for kind in type(owner).__mro__ for pair in vars(kind).items() if pair[0] != "__init__"]
        written = set().union(*(_changed(getattr(method, "__code__", None)) for _, method in methods))
        held += [
            (name, value)
            for name, value in sorted(getattr(owner, "__dict__", {}).items())
            if isinstance(value, _PLAIN_NUMBERS) and not (_BOOKKEEPING.fullmatch(name) or name in written)
        ]
    yield from _parts([value for value in held if isinstance(value, (dict, *_PLAIN_NUMBERS))], met)


def _read_numbers(function: types.FunctionType) -> Iterator[tuple[str, object]]:
    """Numbers, strings and tensors that a function reads from its closure and module and never changes."""
    code, changed = function.__code__, _changed(function.__code__)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell
            if name not in changed and isinstance(cell.cell_contents, _PLAIN_NUMBERS):
                yield name, cell.cell_contents
    for name in sorted(_names(code) & function.__globals__.keys() - changed):
        if isinstance(function.__globals__[name], _PLAIN_NUMBERS):
            yield name, function.__globals__[name]


def _class(kind: type, met: dict) -> Iterator[str | bytes]:
    yield kind.__qualname__
    for parent in kind.__mro__:
        if parent in (object, nn.Module) or parent.__module__ == "builtins":
            break
        for name, value in vars(parent).items():
            value = getattr(value, "__func__", value)  # unwraps static and class methods
            value = value.fget if isinstance(value, property) else value
            if (name == "__call__" or not name.startswith("__")) and isinstance(value, (*_CALLABLE, *_PLAIN_NUMBERS)):
                yield name
                yield from _parts(value, met)


def _function(function: types.FunctionType, met: dict) -> Iterator[str | bytes]:
    function = inspect.unwrap(function)
    code, changed = function.__code__, _changed(function.__code__)
    yield from _code(code, met)
    yield from _parts((function.__defaults__, function.__kwdefaults__), met)
    if (function.__module__ or "").partition(".")[0] in ("torch", "torchvision", "numpy"):
        return
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell
            if name not in changed:
                yield from _parts(cell.cell_contents, met)
    for name in sorted(_names(code) & function.__globals__.keys() - changed):
        value = function.__globals__[name]
        if isinstance(value, (*_CALLABLE, *_PLAIN_NUMBERS, list, dict, type, nn.Module)):
            yield name
            yield from _parts(value, met)


def _changed(code: types.CodeType | None) -> set[str]:
    """Names of attributes and variables that a function assigns or changes in place (by `append`, for example)."""
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code)] if code else []
    stored = {name for operation, name in steps if operation in ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF")}
    return stored | {name for (_, name), (_, called) in pairwise(steps) if called in _CHANGES and isinstance(name, str)}


def _code(code: types.CodeType, met: dict) -> Iterator[str | bytes]:
    yield code.co_code
    yield " ".join(code.co_names + code.co_varnames + code.co_freevars)
    for constant in code.co_consts:
        yield from _parts(constant, met)


def _names(code: types.CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*inner)
