"""Small networks written as users write them: views, functions, in-place steps, ties, masks, norms, hooks, options."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from nnopt_lab.techniques.quantization import qat

PICTURES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
ROWS = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
SEQUENCES = torch.randn(6, 4, 8, generator=torch.Generator().manual_seed(3))


class Pictures(nn.Module):
    """A network of pictures whose forward is given as a function of the module and its input."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.how = forward
        self.a, self.b, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4 * 36, 3)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x, mask=None):
        return self.how(self, x) if mask is None else self.how(self, x) * mask


class Rows(nn.Module):
    """A network of rows whose forward is given as a function of the module and its input."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.how = forward
        self.a, self.b, self.c = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x, scale: float = 1.0):
        return self.how(self, x) * scale if scale != 1 else self.how(self, x)


def plain():
    return Rows(lambda s, x: s.c(s.b(s.a(x).relu()).relu()))


def changed(change, make=plain):
    def made():
        model = make()
        change(model)
        return model

    return made


def tied(model):
    model.c = nn.Linear(4, 4)
    model.c.weight = model.b.weight


def masked(model, name="weight"):
    for layer in (model.a, model.b):
        prune.l1_unstructured(layer, name, 2)


def masked_after_a_step(model):
    masked(model)
    model(ROWS).sum().backward()


def masked_and_loaded(model):
    masked(model)
    model(ROWS)
    model.load_state_dict({k: v if "mask" in k else v + 0.1 for k, v in model.state_dict().items()})


class Standardised(nn.Linear):
    """Computes with a standardised weight, as weight-standardised convolutions do."""

    def forward(self, x):
        weight = (self.weight - self.weight.mean(1, keepdim=True)) / (self.weight.std(1, keepdim=True) + 1e-5)
        return F.linear(x, weight, self.bias)


def twice(s, x):
    return s.c(s.b(s.b(s.a(x).relu()).relu()).relu())


def residual_in_place(s, x):
    y = s.a(x)
    y += s.b(y.relu())
    return s.c(y)


def reused_input(s, x):
    x -= 1
    y = s.a(x).relu_()
    return s.c(s.b(y).relu_())


def views(s, x):
    return s.fc(F.relu(s.b(F.max_pool2d(F.relu(s.a(x)), 1))).view(x.size(0), -1))


def of_pictures(forward, **layers):
    return lambda: Pictures(forward, **{name: make() for name, make in layers.items()})


def of_rows(forward, **layers):
    return lambda: Rows(forward, **{name: make() for name, make in layers.items()})


# Equalisation must keep the function of these, and do its work.
EQUALISABLE = {
    "plain": plain,
    "view": of_pictures(views),
    "view(-1, number)": of_pictures(lambda s, x: s.fc(s.b(s.a(x).relu()).relu().view(-1, 144))),
    "reshape to a shape": of_pictures(lambda s, x: s.fc(s.b(s.a(x).relu_()).reshape((x.shape[0], -1)))),
    "flatten": of_pictures(lambda s, x: s.fc(torch.flatten(F.relu(s.b(s.a(x)), inplace=True), 1))),
    "mean": of_pictures(lambda s, x: s.head(s.b(s.a(x).relu()).mean((2, 3))), head=lambda: nn.Linear(4, 3)),
    "mean that keeps axes": of_pictures(
        lambda s, x: s.head(s.b(s.a(x).relu()).mean((-2, -1), keepdim=True).flatten(1)), head=lambda: nn.Linear(4, 3)
    ),
    "pooling functions": of_pictures(
        lambda s, x: s.head(F.adaptive_avg_pool2d(F.avg_pool2d(s.b(F.leaky_relu(s.a(x))), 2), 1).flatten(1)),
        head=lambda: nn.Linear(4, 3),
    ),
    "dropout in training mode": of_rows(lambda s, x: s.c(F.dropout(s.b(s.a(x).relu()), 0.5, s.training))),
    "by keyword": of_rows(lambda s, x: s.c(input=s.b(input=s.a(input=x).relu()))),
    "half": of_rows(lambda s, x: s.c(s.b(s.a(x) * 0.5).relu() / 3)),
    "PReLU": of_rows(lambda s, x: s.c(s.p(s.b(s.a(x)))), p=lambda: nn.PReLU(4)),
    "softmax behind": of_rows(lambda s, x: F.log_softmax(s.c(s.b(s.a(x).relu())), 1)),
    "residual behind": of_rows(lambda s, x: (lambda y: y + y.tanh())(s.c(s.b(s.a(x).relu())))),
    "anything before": of_rows(lambda s, x: s.c(s.b(s.a(x.tanh() + x.square())).relu())),
    "optional argument": of_pictures(views),
    "frozen": changed(lambda model: model.b.requires_grad_(False)),
    "masked": changed(masked),
    "masked bias": changed(lambda model: masked(model, "bias")),
    "masked after a step": changed(masked_after_a_step),
    "masked and loaded": changed(masked_and_loaded),
    "without bias": of_rows(lambda s, x: s.c(s.d(s.a(x)).relu()), d=lambda: nn.Linear(4, 4, bias=False)),
    "changes its input": of_rows(reused_input),
}
# Its sentence must name what is in the way of these.
REFUSED = {
    "tanh": (
        of_rows(lambda s, x: s.c(s.b(s.a(x).tanh()))),
        r"tanh.* between 'a' and 'b', which does not preserve a channel's scale",
    ),
    "GELU": (of_rows(lambda s, x: s.c(F.gelu(s.b(s.a(x))))), "gelu.* between 'b' and 'c'"),
    "sigmoid": (of_rows(lambda s, x: s.c(torch.sigmoid(s.b(s.a(x))))), "sigmoid.* between 'b' and 'c'"),
    "hardswish": (of_rows(lambda s, x: s.c(F.hardswish(s.b(s.a(x))))), "hardswish.* between 'b' and 'c'"),
    "ReLU6": (of_rows(lambda s, x: s.c(s.six(s.b(s.a(x)))), six=nn.ReLU6), r"ReLU6\(\) between 'b' and 'c'"),
    "clamp": (of_rows(lambda s, x: s.c(s.b(s.a(x)).clamp(0, 1))), "clamp.* between 'b' and 'c'"),
    "plus one": (of_rows(lambda s, x: s.c(s.b(s.a(x)) + 1)), "add.* between 'b' and 'c'"),
    "layer norm": (of_rows(lambda s, x: s.c(s.n(s.b(s.a(x)))), n=lambda: nn.LayerNorm(4)), "LayerNorm.* 'b' and 'c'"),
    "softmax between": (of_rows(lambda s, x: s.c(s.b(s.a(x)).softmax(1))), "softmax.* between 'b' and 'c'"),
    "residual": (
        of_rows(lambda s, x: (lambda y: s.c(y + s.b(y.relu())))(s.a(x))),
        "the output of the layer 'a' is read in 2 places",
    ),
    "residual in place": (of_rows(residual_in_place), "the output of the layer 'a' is read in 2 places"),
    "dense": (
        of_rows(lambda s, x: (lambda y: s.d(torch.cat([y, s.b(y)], 1)))(s.a(x)), d=lambda: nn.Linear(8, 3)),
        "is read in 2 places",
    ),
    "two branches": (of_rows(lambda s, x: s.c(s.a(x) + s.d(x)), d=lambda: nn.Linear(5, 4)), "not a chain"),
    "returns more": (of_rows(lambda s, x: (lambda y: s.c(s.b(y)) * y.sum())(s.a(x))), "read in 2 places"),
    "runs twice": (of_rows(twice), "calls the layer 'b' 2 times"),
    "tied": (changed(tied), "layer 'b' is tied with 'c.weight'"),
    "reads a weight": (
        of_rows(lambda s, x: s.c(F.linear(s.b(s.a(x)), s.b.weight))),
        "'b'.*read|weight of the layer 'b'",
    ),
    "weight norm": (changed(lambda model: weight_norm(model.b)), "layer 'b' has weight_norm"),
    "spectral norm": (changed(lambda model: spectral_norm(model.b)), "layer 'b' has spectral_norm"),
    "parametrised": (changed(lambda model: parametrizations.weight_norm(model.b)), "layer 'b' has the parametrisation"),
    "prepared": (changed(lambda model: qat.prepare(model, ROWS)), "layer 'a' has the parametrisation"),
    "prepared activations": (changed(lambda model: qat.prepare(model, ROWS, None)), "layer 'a' has forward hooks"),
    "hook": (
        changed(lambda model: model.b.register_forward_hook(lambda layer, inputs, output: output.tanh())),
        "layer 'b' has forward hooks",
    ),
    "hook between": (
        changed(
            lambda model: model.r.register_forward_hook(lambda layer, inputs, output: output.tanh()),
            of_rows(lambda s, x: s.c(s.r(s.b(s.a(x)))), r=nn.ReLU),
        ),
        r"ReLU\(\) between 'b' and 'c'",
    ),
    "own forward": (
        of_rows(lambda s, x: s.c(s.w(s.a(x))), w=lambda: Standardised(4, 4)),
        "not a chain at linear",
    ),
    "groups": (
        of_pictures(
            lambda s, x: s.fc(s.g(s.a(x).relu()).flatten(1)), g=lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2)
        ),
        "groups",
    ),
    "last axis": (
        of_pictures(lambda s, x: s.d(s.b(s.a(x))), d=lambda: nn.Linear(6, 2)),
        "'d' reads the last axis of pictures",
    ),
    "last axis of as many numbers": (
        of_pictures(lambda s, x: s.d(s.e(x)), e=lambda: nn.Conv2d(3, 8, 1), d=lambda: nn.Linear(8, 2)),
        "'d' reads the last axis of pictures",
    ),
    "flatten from axis 2 on": (
        of_pictures(lambda s, x: s.d(s.a(x).flatten(2)), d=lambda: nn.Linear(36, 2)),
        "flatten.* between 'a' and 'd'",
    ),
    "pooling rows": (
        of_rows(
            lambda s, x: s.d(s.p(s.a(x)[:, None]).flatten(1)), d=lambda: nn.Linear(2, 2), p=lambda: nn.MaxPool1d(2)
        ),
        "between 'a' and 'd'",
    ),
    "transposed": (of_rows(lambda s, x: s.d(s.a(x).t()).t(), d=lambda: nn.Linear(6, 2)), "between 'a' and 'd'"),
    "control flow": (of_rows(lambda s, x: s.a(x) if x.sum() > 0 else -s.a(x)), "cannot be traced"),
    "second argument": (lambda: nn.Bilinear(2, 2, 2), "needs 'input2'"),
    "recurrent": (
        of_rows(lambda s, x: s.c(s.l(s.a(x))[0]), l=lambda: nn.LSTM(4, 4)),
        "not a chain|between 'a' and 'c'",
    ),
}


class Flat(nn.Module):
    """Linear layers over sequences, flattened: the channels are the last axis."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 6), nn.Linear(6, 5), nn.Linear(5 * 4, 3)

    def forward(self, x):
        return self.c(self.b(self.a(x).relu()).relu().flatten(1))


def make(factory, seed=0):
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the older norms
        return factory()


def inputs_of(model):
    return PICTURES if isinstance(model, Pictures) else SEQUENCES if isinstance(model, Flat) else ROWS


EQUALISABLE["sequences"] = Flat
ALL = EQUALISABLE | {name: factory for name, (factory, _) in REFUSED.items() if name not in ("second argument",)}


def answers(model, x=None):
    """What a model says in evaluation mode, without changing what it is given."""
    was = model.training
    model.eval()
    with torch.no_grad():
        said = model((inputs_of(model) if x is None else x).clone())
    model.train(was)
    return said
