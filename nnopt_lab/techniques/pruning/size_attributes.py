"""Numbers of channels that modules store as attributes, such as `self.num_heads`.

A forward that reads such a number leaves only its value in the graph. While the model is traced, the attributes are
replaced by integers that remember where they are stored, so that pruning can change the attribute with the channels.
"""

import contextlib
import operator
from collections.abc import Container, Iterator

from torch import fx, nn

Place = tuple[str, str]
"""Name of a module and of its attribute."""


class SizeAttribute(int):
    """An attribute's value, or a product of several; `places` are (module, attribute, value) of its factors."""

    places: tuple[tuple[str, str, int], ...]
    computed: set[Place]  # those that enter any other computation

    def __new__(cls, value: int, places: tuple, computed: set[Place]):
        number = super().__new__(cls, value)
        number.places, number.computed = places, computed
        return number

    def __mul__(self, other):
        product = super().__mul__(other)
        if product is NotImplemented:
            self._note(other)
            return product
        return SizeAttribute(product, self.places + getattr(other, "places", ()), self.computed)

    __rmul__ = __mul__

    def _note(self, *others) -> None:
        if not any(isinstance(each, fx.Proxy) for each in others):  # the graph shows what is computed with those
            for each in (self, *others):
                self.computed.update(place[:2] for place in getattr(each, "places", ()))


def _computing(name: str):
    def method(self, *others):
        self._note(*others)
        return getattr(int, name)(self, *others)

    return method


for _name in ("add", "sub", "floordiv", "truediv", "mod", "pow"):
    setattr(SizeAttribute, f"__{_name}__", _computing(f"__{_name}__"))
    setattr(SizeAttribute, f"__r{_name}__", _computing(f"__r{_name}__"))
SizeAttribute.__float__ = _computing("__float__")


@contextlib.contextmanager
def marked(model: nn.Module) -> Iterator[set[Place]]:
    """Replace the integer attributes above 1 of all modules but torch's own; yields those that enter a computation."""
    computed: set[Place] = set()
    before = []
    try:
        for name, module in model.named_modules():
            if type(module).__module__.startswith("torch.nn."):
                continue
            for attribute, value in vars(module).items():
                if type(value) is int and value > 1:
                    before.append((module, attribute, value))
                    vars(module)[attribute] = SizeAttribute(value, ((name, attribute, value),), computed)
        yield computed
    finally:
        for module, attribute, value in before:
            if isinstance(vars(module).get(attribute), SizeAttribute):
                vars(module)[attribute] = value


def places_in(size: object) -> list[tuple[str, str, int]]:
    """The attributes that a size in the graph is computed from by products and quotients."""
    if isinstance(size, SizeAttribute):
        return list(size.places)
    if isinstance(size, list | tuple):
        return [place for each in size for place in places_in(each)]
    if isinstance(size, fx.Node) and size.target in (operator.mul, operator.floordiv):
        return places_in(size.args)
    return []


def places_read(node: fx.Node, tensors: Container[fx.Node]) -> set[Place]:
    """The attributes among a call's arguments and in what these are computed from, up to the nodes of tensors."""
    found = []
    fx.node.map_aggregate((node.args, node.kwargs), found.append)
    places = {place[:2] for each in found for place in getattr(each, "places", ())}
    for source in node.all_input_nodes:
        if source not in tensors:
            places |= places_read(source, tensors)
    return places
