"""Small networks with the habits of users' networks, for the tests of what promises to keep a model's function."""

import copy

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization import qat

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two convolutions with batch norms and two linear layers; `forward` is what subclasses vary."""

    def __init__(self):
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.b, self.norm_b = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.pool = nn.MaxPool2d(2)
        self.hidden, self.head = nn.Linear(6 * 4, 12), nn.Linear(12, 5)

    def features(self, x):
        x = self.pool(F.relu(self.norm_a(self.a(x))))
        return self.pool(F.relu(self.norm_b(self.b(x))))

    def classify(self, x):
        return self.head(F.relu(self.hidden(x)))

    def forward(self, x):
        return self.classify(self.features(x).flatten(1))


HABITS = {}


def habit(make):
    """Register a function that gives a network; numbers of batch norms are as after a training."""
    HABITS[make.__name__] = make
    return make


def build(name, x=X):
    """The network of a habit, in evaluation mode unless the habit is another, and a reference copy of its outputs."""
    torch.manual_seed(0)
    return HABITS[name]()


def settled(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            if module.running_var is not None:
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.3, 2)
            if module.affine:
                nn.init.uniform_(module.weight, -2, 2)
                nn.init.normal_(module.bias)
    return model.eval()


def net(forward=None, **members):
    """A `Net` with further members and, in a class of its own, another forward."""
    kind = type("Net", (Net,), {"forward": forward} if forward else {})
    model = kind()
    for name, member in members.items():
        setattr(model, name, member)
    return settled(model)


@habit
def plain():
    return net()


# How the forward is written


@habit
def views():
    return net(lambda s, x: s.classify(s.features(x).view(x.size(0), -1)))


@habit
def reshapes():
    return net(lambda s, x: s.classify(s.features(x).reshape(x.shape[0], -1)))


@habit
def view_with_numbers():
    return net(lambda s, x: s.classify(s.features(x).view(-1, 24)))


@habit
def unpacked_sizes():
    def forward(self, x):
        x = self.features(x)
        n, c, h, w = x.size()
        return self.classify(x.view(n, c * h * w))

    return net(forward)


@habit
def in_place():
    def forward(self, x):
        x = F.relu(self.norm_a(self.a(x)), inplace=True)
        y = self.norm_b(self.b(x))
        y += x
        y.relu_()
        return self.classify(self.pool(self.pool(y)).flatten(1))

    return net(forward)


@habit
def in_place_modules():
    return net(
        lambda s, x: s.classify(s.pool(s.act(s.norm_b(s.b(s.pool(s.act(s.norm_a(s.a(x)))))))).flatten(1)),
        act=nn.ReLU(inplace=True),
    )


@habit
def optional_mask():
    def forward(self, x, mask=None):
        x = self.features(x)
        return self.classify((x if mask is None else x * mask).flatten(1))

    return net(forward)


@habit
def optional_keywords():
    def forward(self, x, *, return_features=False, scale: float = 1.0, **others):
        x = self.features(x)
        y = self.classify(x.flatten(1))
        y = y if scale == 1 else y * scale
        return (y, x) if return_features else y

    return net(forward)


@habit
def layers_called_by_keyword():
    def forward(self, x):
        x = self.pool(input=F.relu(input=self.norm_a(input=self.a(input=x))))
        x = self.pool(F.relu(self.norm_b(self.b(input=x))))
        return self.classify(torch.flatten(input=x, start_dim=1))

    return net(forward)


@habit
def other_in_training():
    def forward(self, x):
        y = self.classify(self.features(x).flatten(1))
        return (y, x) if self.training else y

    return net(forward)


@habit
def branch_on_the_data():
    return net(lambda s, x: s.classify(s.features(x if x.sum() > 0 else -x).flatten(1)))


@habit
def loop_over_the_batch():
    return net(lambda s, x: torch.cat([s.classify(s.features(row[None]).flatten(1)) for row in x]))


@habit
def checks_its_input():
    def forward(self, x):
        if x.shape[1] != 3:
            raise ValueError("three channels are needed")
        return self.classify(self.features(x).flatten(1))

    return net(forward)


@habit
def dropout_in_a_function():
    return net(lambda s, x: s.classify(F.dropout(s.features(x), 0.5, s.training).flatten(1)))


@habit
def forward_of_the_instance():
    model = net()
    inner = model.forward
    model.forward = lambda x: 2 * inner(x)
    return model


@habit
def layer_with_a_forward_of_the_instance():
    model = net()
    inner = model.b.forward
    model.b.forward = lambda x: 2 * inner(x)
    return model


@habit
def counts_its_calls():
    def forward(self, x):
        self.calls += 1
        return self.classify(self.features(x).flatten(1))

    return net(forward, calls=0)


@habit
def mean_over_the_width():
    return net(lambda s, x: s.classify(s.features(x).mean(-1).flatten(1)), hidden=nn.Linear(12, 12))


@habit
def mean_that_coincides():
    return net(
        lambda s, x: s.head(s.wide(x).mean((1, 2))), wide=nn.Conv2d(3, 8, 3, padding=1), head=nn.Linear(8, 5)
    )  # fmt: skip


@habit
def gates():
    return net(
        lambda s, x: s.classify(
            ((y := s.features(x)) * s.gate(F.adaptive_avg_pool2d(y, 1)).sigmoid()).flatten(1)
        ),
        gate=nn.Conv2d(6, 6, 1),
    )  # fmt: skip


# What it gives


@habit
def gives_features_too():
    return net(lambda s, x: {"logits": s.classify((y := s.features(x)).flatten(1)), "features": [y]})


@habit
def gives_a_buffer():
    model = net(lambda s, x: (s.classify(s.features(x).flatten(1)), s.mean))
    model.register_buffer("mean", torch.zeros(3))
    return model


@habit
def gives_sizes():
    return net(lambda s, x: (s.classify((y := s.features(x)).flatten(1)), y.shape, y.size(1)))


@habit
def gives_a_weight():
    return net(lambda s, x: (s.classify(s.features(x).flatten(1)), s.b.weight))


@habit
def gives_a_layer_of_a_parameter():
    model = net(lambda s, x: s.classify(s.features(x).flatten(1)) + s.head(s.query))
    model.query = nn.Parameter(torch.randn(1, 12))
    return model


# What it holds


@habit
def scaled_by_a_buffer():
    model = net(lambda s, x: s.classify(s.features((x - s.mean) / s.mean.add(2)).flatten(1)))
    model.register_buffer("mean", torch.rand(3, 1, 1))
    return model


@habit
def a_number_for_each_channel():
    model = net(lambda s, x: s.classify((s.features(x) * s.scale).flatten(1)))
    model.scale = nn.Parameter(torch.rand(6, 1, 1))
    return model


@habit
def constant_of_the_width():
    return net(lambda s, x: s.classify(s.features(x).flatten(1)) / s.b.out_channels)


@habit
def counts_channels_in_a_hook():
    model = net()
    model.b.register_forward_hook(lambda layer, inputs, output: output * layer.out_channels)
    return model


@habit
def frozen():
    return net().requires_grad_(False)


@habit
def frozen_in_part():
    model = net()
    for layer in (model.a, model.norm_b, model.hidden):
        layer.requires_grad_(False)
    model.head.bias.requires_grad_(False)
    return model


@habit
def mixed_modes():
    model = net().train()
    model.norm_a.eval()
    model.hidden.eval()
    return model


@habit
def no_scale():
    return net(norm_b=nn.BatchNorm2d(6, affine=False))


@habit
def no_statistics():
    return net(norm_b=nn.BatchNorm2d(6, track_running_stats=False))


@habit
def a_lock():
    import threading

    return net(lock=threading.Lock())


@habit
def kept_activations():
    def forward(self, x):
        self.last = {"features": [self.features(x)]}
        return self.classify(self.last["features"][0].flatten(1))

    model = net(forward)
    model(X)
    return model


@habit
def standardised_weights():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    return net(b=Standardised(6, 6, 3, padding=1, bias=False))


@habit
def scaling_linear():
    class Scaled(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 3

    return net(hidden=Scaled(24, 12))


@habit
def other_norm():
    class Shifted(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x) + 1

    return net(norm_b=Shifted(6))


@habit
def lazy():
    return net(head=nn.LazyLinear(5))


@habit
def padding_by_name():
    return net(b=nn.Conv2d(6, 6, 3, padding="same", bias=False))


# Shared


def shared_layers(self, x):
    x = F.relu(self.norm_a(self.a(x)))
    x = F.relu(self.norm_b(self.c(F.relu(self.b(x)))))
    return self.classify(self.pool(self.pool(x)).flatten(1))


@habit
def tied_convolutions():
    model = net(shared_layers, c=nn.Conv2d(6, 6, 3, padding=1))
    model.c.weight = model.b.weight
    return model


@habit
def tied_memory():
    model = net(shared_layers, c=nn.Conv2d(6, 6, 3, padding=1))
    model.c.weight.data = model.b.weight.data
    return model


@habit
def tied_and_masked():
    model = tied_convolutions()
    prune.l1_unstructured(model.b, "weight", 60)
    return model


@habit
def tied_linears():
    model = net(lambda s, x: s.head(F.relu(s.again(F.relu(s.hidden(s.features(x).flatten(1)))))))
    model.hidden, model.again = nn.Linear(24, 24), nn.Linear(24, 24)
    model.head, model.again.weight = nn.Linear(24, 5), model.hidden.weight
    return model


@habit
def tied_to_its_transpose():
    model = net(lambda s, x: s.head(s.decoder(s.hidden(s.features(x).flatten(1)))))
    model.decoder, model.head = nn.Linear(12, 24), nn.Linear(24, 5)
    model.decoder.weight = nn.Parameter(model.hidden.weight.t())
    return model


@habit
def called_twice():
    return net(lambda s, x: s.classify(s.pool(s.pool(F.relu(s.norm_b(s.b(s.b(s.a(x))))))).flatten(1)))


@habit
def norm_called_twice():
    return net(lambda s, x: s.classify(s.pool(s.pool(F.relu(s.norm_b(s.b(s.norm_b(s.a(x))))))).flatten(1)))


@habit
def in_two_places():
    layer = nn.Linear(24, 24)
    return net(lambda s, x: s.head(s.stack(s.features(x).flatten(1))), stack=nn.Sequential(layer, nn.ReLU(), layer),
               head=nn.Linear(24, 5))  # fmt: skip


@habit
def under_two_names():
    model = net(lambda s, x: s.classify(s.stack(s.pool(F.relu(s.norm_a(s.a(x))))).flatten(1)))
    model.stack = nn.Sequential(model.b, model.norm_b, nn.ReLU(), model.pool)
    return model


@habit
def read_by_the_parent():
    return net(lambda s, x: F.linear(F.relu(s.hidden(s.features(x).flatten(1))), s.head.weight))


@habit
def read_and_called():
    def forward(self, x):
        y = F.relu(self.norm_b(self.b(F.relu(self.norm_a(self.a(x))))))
        y = y + F.conv2d(y, self.b.weight, padding=1)
        return self.classify(self.pool(self.pool(y)).flatten(1))

    return net(forward)


@habit
def casts_to_a_weights_type():
    return net(lambda s, x: s.classify(s.features(x.to(s.a.weight.dtype)).flatten(1).to(s.hidden.weight.dtype)))


@habit
def read_in_a_loop():
    def forward(self, x):
        x = self.features(x).flatten(1)
        for row in x:
            assert row.ndim == 1
        for layer in (self.hidden, self.head):
            x = F.linear(x, layer.weight, layer.bias)
        return x

    return net(forward)


# Computed weights


def with_masks(parameter="weight", layers=("b", "hidden")):
    model = net()
    for name in layers:
        prune.random_unstructured(model.get_submodule(name), parameter, 0.4)
    return model


@habit
def masked():
    return with_masks()


@habit
def masked_and_frozen():
    return with_masks().requires_grad_(False)


@habit
def masked_by_the_library():
    return pruning.magnitude_prune(net(), 100)


@habit
def masked_biases():
    return with_masks("bias", ["a", "hidden"])


@habit
def masked_norms():
    return with_masks("weight", ["norm_a", "norm_b"])


@habit
def masked_after_a_forward():
    model = with_masks()
    model(X)
    return model


@habit
def masked_and_loaded():
    model = with_masks()
    model(X)
    model.load_state_dict({k: v if "mask" in k else v * 0.5 for k, v in model.state_dict().items()})
    return model


@habit
def masked_after_inference():
    model = with_masks()
    with torch.inference_mode():
        model(X)
    return model


@habit
def old_weight_norm():
    model = net()
    weight_norm(model.b)
    weight_norm(model.hidden)
    model(X)
    return model


@habit
def old_spectral_norm():
    model = net()
    spectral_norm(model.b)
    spectral_norm(model.hidden)
    model(X)
    return model


@habit
def parametrised_weight_norm():
    model = net()
    parametrizations.weight_norm(model.b)
    parametrizations.weight_norm(model.hidden)
    return model


@habit
def parametrised_spectral_norm_in_training():
    model = net()
    parametrizations.spectral_norm(model.b)
    parametrizations.spectral_norm(model.hidden)
    return model.train()


@habit
def prepared_for_quantisation():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(216, 5))
    return qat.prepare(settled(model), X, 4, 4).eval()


@habit
def weight_that_a_hook_makes():
    model = net()
    model.b.source = nn.Parameter(model.b.weight.detach().clone())
    del model.b.weight
    model.b.weight = model.b.source.detach()
    model.b.register_forward_pre_hook(lambda layer, _: setattr(layer, "weight", layer.source * 2))
    return model


@habit
def hook_that_changes_the_output():
    model = net()
    model.b.register_forward_hook(lambda layer, inputs, output: output + 1)
    model.hidden.register_forward_hook(lambda layer, inputs, output: output * 2)
    return model


@habit
def hook_on_a_norm():
    model = net()
    model.norm_b.register_forward_pre_hook(lambda layer, inputs: (inputs[0] + 1,))
    return model


# Other kinds of layer


class Tokens(nn.Module):
    """Pixels as tokens, an encoder, and a head."""

    def __init__(self, encoder):
        super().__init__()
        self.embed, self.encoder, self.head = nn.Conv2d(3, 8, 4, 4), encoder, nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.encode(self.embed(x).flatten(2).transpose(1, 2)).mean(1))

    def encode(self, x):
        return self.encoder(x)


@habit
def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return Tokens(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)).eval()


@habit
def attention():
    class Net(Tokens):
        def encode(self, x):
            return self.encoder(x, x, x)[0]

    return Net(nn.MultiheadAttention(8, 2, batch_first=True)).eval()


@habit
def recurrent():
    class Net(Tokens):
        def encode(self, x):
            return self.encoder(x)[0]

    return Net(nn.LSTM(8, 8, batch_first=True)).eval()


@habit
def gated_recurrent():
    class Net(Tokens):
        def encode(self, x):
            return self.encoder(x)[1].transpose(0, 1)

    return Net(nn.GRU(8, 8, 2, batch_first=True, bidirectional=True)).eval()


class Attention(nn.Module):
    """Attention as timm writes it: one layer for queries, keys and values, split by head."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(n, tokens, width))


class ReadingAttention(Attention):
    """As torchvision's Swin writes it: a function gets the layers' weights."""

    def forward(self, x):
        q, k, v = F.linear(x, self.qkv.weight, self.qkv.bias).chunk(3, -1)
        return F.linear(F.scaled_dot_product_attention(q, k, v), self.proj.weight, self.proj.bias)


class TransformerBlock(nn.Module):
    """Normalisation first, layer scale after."""

    def __init__(self, attention, width=8):
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(width), attention, nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, width))
        self.scale = nn.Parameter(torch.rand(width))

    def forward(self, x):
        x = x + self.scale * self.attention(self.norm1(x))
        return x + self.scale * self.mlp(self.norm2(x))


@habit
def vision_transformer():
    return Tokens(nn.Sequential(TransformerBlock(Attention()), TransformerBlock(Attention()))).eval()


@habit
def attention_that_reads_weights():
    return Tokens(TransformerBlock(ReadingAttention())).eval()


@habit
def attention_that_reads_weights_where_the_data_decide():
    class Net(Tokens):
        def encode(self, x):
            return self.encoder(x if x.sum() > 0 else x * 2)

    return Net(TransformerBlock(ReadingAttention())).eval()


@habit
def class_token():
    class Net(Tokens):
        def encode(self, x):
            token = self.token.expand(x.shape[0], -1, -1)
            return self.encoder(torch.cat([token, x], 1) + self.position)[:, :1]

    model = Net(TransformerBlock(Attention()))
    model.token, model.position = nn.Parameter(torch.rand(1, 1, 8)), nn.Parameter(torch.rand(1, 5, 8))
    return model.eval()


@habit
def head_tied_to_an_embedding():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.mix, self.head = nn.Embedding(9, 8), nn.Linear(8, 8), nn.Linear(8, 9, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x):
            words = (x[:, 0].flatten(1) * 2).round().long().clamp(-4, 4) + 4
            return self.head(F.gelu(self.mix(self.embed(words))).mean(1))

    return Net().eval()


@habit
def shared_blocks():
    class Net(Tokens):
        def encode(self, x):
            for _ in range(3):
                x = self.encoder(x)
            return x

    return Net(TransformerBlock(Attention())).eval()


# Blocks of well-known convolutional networks, between a first convolution and a head


class BatchNormAct2d(nn.BatchNorm2d):
    """As timm writes its class: a batch norm, then a drop layer and an activation."""

    def __init__(self, channels, act):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), act

    def forward(self, x):
        torch._assert(x.ndim == 4, "four axes")
        x = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )
        return self.act(self.drop(x))


class Around(nn.Module):
    """A convolution to 6 channels, the block, and a head for its channels."""

    def __init__(self, block, channels=6):
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 6, 3, padding=1), block
        self.head = nn.Linear(channels, 5)

    def forward(self, x):
        return self.head(F.adaptive_avg_pool2d(self.block(F.relu(self.stem(x))), 1).flatten(1))


def block(forward, channels=6, **layers):
    model = type("Block", (nn.Module,), {"forward": forward})()
    for name, layer in layers.items():
        setattr(model, name, layer)
    return settled(Around(model, channels))


@habit
def inverted_bottleneck():
    return block(
        lambda s, x: x + s.norm3(s.project(s.norm2(s.depthwise(s.norm1(s.expand(x)))))),
        expand=nn.Conv2d(6, 12, 1, bias=False), norm1=BatchNormAct2d(12, nn.SiLU(inplace=True)),
        depthwise=nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False), norm2=BatchNormAct2d(12, nn.SiLU()),
        project=nn.Conv2d(12, 6, 1, bias=False), norm3=BatchNormAct2d(6, nn.Identity()),
    )  # fmt: skip


@habit
def squeeze_and_excite():
    def forward(self, x):
        x = self.norm(self.conv(x))
        return x * self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))).sigmoid()

    return block(
        forward, conv=nn.Conv2d(6, 6, 3, padding=1, groups=2), norm=BatchNormAct2d(6, nn.Hardswish()),
        down=nn.Conv2d(6, 2, 1), up=nn.Conv2d(2, 6, 1),
    )  # fmt: skip


@habit
def dense_block():
    def forward(self, x):
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(F.relu(norm(x)))], 1)
        return x

    return block(
        forward, 14, norms=nn.ModuleList([nn.BatchNorm2d(6), nn.BatchNorm2d(10)]),
        convs=nn.ModuleList([nn.Conv2d(6, 4, 3, padding=1), nn.Conv2d(10, 4, 3, padding=1)]),
    )  # fmt: skip


@habit
def channel_shuffle():
    def forward(self, x):
        left, right = x.chunk(2, 1)
        x = torch.cat([left, F.relu(self.norm(self.conv(right)))], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)

    return block(forward, conv=nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False), norm=nn.BatchNorm2d(3))


@habit
def layer_scale():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.gamma = nn.Parameter(torch.rand(6))

        def forward(self, x):
            return x * self.gamma

    def forward(self, x):
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return x + self.scale(self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)

    return block(
        forward, conv=nn.Conv2d(6, 6, 3, padding=1, groups=6), norm=nn.LayerNorm(6), up=nn.Linear(6, 12),
        down=nn.Linear(12, 6), scale=Scale(),
    )  # fmt: skip


@habit
def stochastic_depth():
    class DropPath(nn.Module):
        def forward(self, x):
            if not self.training:
                return x
            return x * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(0.8) / 0.8

    return block(
        lambda s, x: F.relu(x + s.drop(s.norm(s.conv(x)))),
        conv=nn.Conv2d(6, 6, 3, padding=1), norm=nn.BatchNorm2d(6), drop=DropPath(),
    )  # fmt: skip


def in_evaluation(model, x=X):
    """The model's outputs in evaluation mode, flat, of a copy that keeps the model's state."""
    from nnopt_lab.techniques.network_checks import copied

    model = copied(model).eval() if not hasattr(model, "lock") else model
    with torch.no_grad():
        return copy.copy(torch.utils._pytree.tree_leaves(model(x.clone())))
