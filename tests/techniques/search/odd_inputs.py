"""Odd networks and odd data, each with the sentence that it gets; "" where the search just works.

A sentence that begins with "note: " is a note of a search that works. `table()` writes all of them in Markdown.
"""

import threading
from collections import namedtuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from tests.techniques.search.small_search import TRAIN, build

IMAGES, LABELS = TRAIN[0][:32], TRAIN[1][:32]
NETWORKS, DATA = {}, {}


def network(says):
    """Register a function that makes a network for pictures [N, 3, 8, 8] of three classes."""
    return lambda make: NETWORKS.setdefault(make.__name__.replace("_", " "), (make, says))[0]


def data(says):
    """Register a function that makes (pictures, labels)."""
    return lambda make: DATA.setdefault(make.__name__.replace("_", " "), (make, says))[0]


class Net(nn.Module):
    """A small network whose forward calls `change` on its input and its logits."""

    def __init__(self, change=lambda self, x, y: y, **members):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 3)
        self.change = change
        for name, member in members.items():
            setattr(self, name, member)

    def logits(self, x):
        return self.head(self.norm(self.conv(x)).relu().flatten(1))

    def forward(self, x):
        return self.change(self, x, self.logits(x))


# What the network is


@network("model is int; it must be a classifier, a torch.nn.Module.")
def a_number():
    return 3


@network("model is type; it must be a classifier, a torch.nn.Module: make one with Net(...).")
def a_class_instead_of_an_object():
    return Net


@network("model is OrderedDict; it must be .*: load these weights into one with load_state_dict.")
def a_state_dict():
    return build().state_dict()


@network("model is function; it must be a classifier, a torch.nn.Module.")
def a_function():
    def classify(x):
        return x

    return classify


@network("model is ExportedProgram; it must be .*: pass the one that was exported.")
def an_exported_program():
    return torch.export.export(build(), (IMAGES[:2],))


@network("model.* pass the torch.nn.Module that was exported.")
def an_exported_program_s_module():
    return torch.export.export(build(), (IMAGES[:2],)).module()


@network("model is a ScriptModule, whose layers can't be changed; pass the torch.nn.Module that it was made from.")
def a_script_module():
    return torch.jit.script(build())


@network("model's layer '0' is a ScriptModule, whose layers can't be changed")
def a_script_module_inside():
    return nn.Sequential(torch.jit.trace(build(), IMAGES[:1]), nn.Linear(3, 3))


@network(r"model's layer '1' is quantised already \(Linear\); pass the float network.")
def a_quantised_layer():
    return nn.Sequential(nn.Flatten(), torch.ao.nn.quantized.dynamic.Linear(192, 3))


@network("model has 0.weight on the meta device, where it has no values; load its weights first.")
def a_network_without_values():
    return build().to("meta")


@network("model's layer '1' has no weights yet: call the model on an input first.")
def a_lazy_layer_never_called():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))


@network("")
def a_lazy_layer_called_once():
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    model(IMAGES[:1])
    return model


@network(r"model cannot be copied because of the attribute 'lock' of its layer 'conv': remove that first \(TypeError")
def a_lock():
    model = Net()
    model.conv.lock = threading.Lock()
    return model


@network("model cannot be copied because of the attribute 'log': remove that first")
def an_open_file():
    model = Net()
    model.log = open(__file__)  # noqa: SIM115
    return model


@network("")
def a_lambda_inside():
    return Net(act=lambda x: x)


@network("")
def a_local_class():
    class Local(Net):
        pass

    return Local()


@network("")
def hooks():
    model = Net()
    seen = []
    model.conv.register_forward_hook(lambda layer, inputs, output: seen.append(output.shape))
    model.register_forward_pre_hook(lambda layer, inputs: None)
    model.head.register_full_backward_hook(lambda layer, grads, others: None)
    return model


# Its numbers


@network("note: 12 of the network's 13 tensors are float64; it was searched, measured and exported in float32.")
def a_float64_network():
    return build().double()


@network("note: 12 of the network's 13 tensors are float16; it")
def a_half_network():
    return build().half()


@network("note: 12 of the network's 13 tensors are bfloat16; it")
def a_bf16_network():
    return build().bfloat16()


@network("note: 2 of the network's 13 tensors are float16; it")
def a_network_half_in_part():
    model = build()
    model[0].half()
    return model


@network("model has weight in complex64; optimize needs real parameters.")
def complex_parameters():
    model = Net()
    model.weight = nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))
    return model


@network(r"model returns NaN or infinite values, 100 % of its outputs for validation's first 32 pictures; its 0.weight")
def weights_that_diverged():
    model = build()
    with torch.no_grad():
        model[0].weight[0] = torch.nan
    return model


@network("model returns NaN or infinite values, 33.3 % of its outputs .*; check the weights, and that to_input")
def an_infinite_logit():
    return Net(lambda self, x, y: y + torch.tensor([0.0, 0.0, torch.inf]))


@network(r"model returns complex64 \[2, 3\] for a batch of 2, float32 \[2, 3, 8, 8\]; it must return float32")
def complex_outputs():
    return Net(lambda self, x, y: torch.complex(y, y))


@network(r"model returns float64 \[2, 3\] .* End its forward with .float\(\).")
def float64_outputs():
    return Net(lambda self, x, y: y.double())


@network(r"model returns int64 \[2\]")
def classes_instead_of_logits():
    return Net(lambda self, x, y: y.argmax(1))


@network("note: The network returns probabilities, but candidates are trained with cross-entropy")
def a_softmax_at_the_end():
    return Net(lambda self, x, y: y.softmax(1))


# What it returns


@network("Net returns a dict; it must return one tensor, the logits. Wrap it in .* returns the logits only.")
def a_dict():
    return Net(lambda self, x, y: {"logits": y})


@network("Net returns a tuple; it must return one tensor, the logits.")
def a_tuple():
    return Net(lambda self, x, y: (y, x))


@network("Net returns a list; it must return one tensor, the logits.")
def a_list():
    return Net(lambda self, x, y: [y])


@network("Net returns a NoneType; it must return one tensor, the logits.")
def nothing():
    return Net(lambda self, x, y: None)


@network("model returns 1 logit per picture; it must return at least 2")
def one_logit():
    return Net(lambda self, x, y: y[:, :1])


@network(r"model returns float32 \[2\] for 2 pictures; it must return \[2, classes\]\.")
def one_number():
    return Net(lambda self, x, y: y[:, 0])


@network(r"model returns float32 \[2, 4, 6, 6\] for 2 pictures; .*, one class per input, which segmentation")
def a_segmentation():
    return Net(lambda self, x, y: self.conv(x))


@network(r"model returns float32 \[2, 3, 1, 1\] .*: end it with .flatten\(1\)")
def a_map_of_one_pixel():
    return Net(lambda self, x, y: y[:, :, None, None])


@network(r"model returns float32 \[2, 36, 4\] .*: take one step of the sequence, or the mean of all")
def a_sequence():
    return Net(lambda self, x, y: self.conv(x).flatten(2).mT)


@network("train has labels from 0 to 2, but the model has 2 classes, numbered from 0")
def too_few_outputs():
    return Net(lambda self, x, y: y[:, :2])


@network("note: train contains no pictures of 3 of the 6 classes.")
def more_outputs_than_classes():
    return Net(lambda self, x, y: torch.cat([y, y], 1))


@network(r"model returns float32 \[3\] for 1 pictures; it must return \[1, classes\]")
def a_squeezed_batch():
    return Net(lambda self, x, y: y.squeeze(0))


# How it computes


@network("model returns other outputs for the same input in evaluation mode")
def dropout_left_in_a_function():
    return Net(lambda self, x, y: nn.functional.dropout(y, 0.5))


@network("model returns other outputs for the same input in evaluation mode")
def random_noise():
    return Net(lambda self, x, y: y + torch.randn_like(y))


@network("model returns other outputs for the same input in evaluation mode .* counters")
def an_output_that_counts():
    def count(self, x, y):
        self.calls = self.calls + 1
        return y * self.calls

    return Net(count, calls=0)


@network("")
def a_counter_that_changes_nothing():
    def count(self, x, y):
        self.calls += 1
        return y

    model = Net(count)
    model.register_buffer("calls", torch.zeros(()))
    return model


@network("")
def a_state_that_is_replaced():
    def count(self, x, y):
        self.calls = self.calls + 1
        return y + 0 * self.calls

    model = Net(count)
    model.register_buffer("calls", torch.zeros(()))
    return model


@network("")
def an_input_changed_in_place():
    class InPlace(Net):
        def forward(self, x):
            return self.logits(x.mul_(2))

    return InPlace()


@network("")
def a_branch_on_the_data():
    return Net(lambda self, x, y: y if x.sum() > 0 else 2 * y)


@network("note: The network's output for a picture depends on the others of its batch")
def batch_norm_without_running_statistics():
    model = Net()
    model.norm = nn.BatchNorm2d(4, track_running_stats=False)
    return model


@network(r"model cannot be called on a batch of 1, .* leaves batch norm a single value per channel")
def batch_norm_of_one_value_in_evaluation():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.BatchNorm1d(3, track_running_stats=False))


@network("model cannot be called on a batch of 2, .*TypeError.* optimize takes networks of one input")
def a_second_input():
    class Two(Net):
        def forward(self, x, mask):
            return self.logits(x * mask)

    return Two()


@network("model cannot be called on a batch of 2, .* It seems to read token numbers")
def token_numbers():
    return nn.Sequential(nn.Flatten(), nn.Embedding(10, 4), nn.Flatten(), nn.Linear(768, 3))


@network(r"model cannot be called on a batch of 2, .*\(KeyError: 'no'\)")
def an_error_of_its_own():
    return Net(lambda self, x, y: {}["no"])


@network("model cannot be called on a batch of 2, .*RecursionError")
def an_endless_recursion():
    return Net(lambda self, x, y: self(x))


@network("model cannot be called on a batch of 2, .*")
def an_accelerator_written_down():
    return Net(lambda self, x, y: y.to("cuda:7"))


@network(r"model cannot be called on a batch of 2, .*NotImplementedError")
def no_forward():
    model = nn.Module()
    model.layer = nn.Linear(3, 3)
    return model


# How it is trained


@network("model has no trainable parameter, but candidates are trained: call model.requires_grad_")
def frozen_everywhere():
    return build().requires_grad_(False)


@network("model has no trainable parameter, but candidates are trained: it has none.")
def no_parameters():
    return nn.Flatten()


@network("")
def frozen_in_part():
    model = build()
    model[0].requires_grad_(False)
    return model


@network("")
def left_in_training_mode():
    return build().train()


@network("model cannot be trained: RuntimeError: only for inference.")
def an_error_in_training():
    class Refusing(Net):
        def forward(self, x):
            if self.training:
                raise RuntimeError("only for inference")
            return self.logits(x)

    return Refusing()


@network(r"model.train\(\) fails: NotImplementedError: never.")
def a_training_mode_that_is_refused():
    class Refusing(Net):
        def train(self, mode=True):
            if mode:
                raise NotImplementedError("never")
            return super().train(mode)

    return Refusing()


@network("model cannot be trained: Net returns a tuple; it must return one tensor, the logits.")
def features_too_in_training():
    return Net(lambda self, x, y: (y, x) if self.training else y)


@network(r"model cannot be trained: in training mode it returns float32 \[2, 4, 6, 6\] for 2 pictures")
def other_outputs_in_training():
    return Net(lambda self, x, y: self.conv(x) if self.training else y)


@network("note: In training, the network returns Outputs; only its logits were trained, not its auxiliary heads.")
def auxiliary_heads():
    kind = namedtuple("Outputs", ["logits", "aux_logits"])
    return Net(lambda self, x, y: kind(y, y) if self.training else y)


@network("model cannot be trained: its outputs do not depend on its trainable parameters")
def a_detached_output():
    return Net(lambda self, x, y: y.detach())


@network("model cannot be trained: .*")
def an_operator_without_gradients():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y):
            return y.clone()

        @staticmethod
        def backward(ctx, grad):
            raise NotImplementedError("no gradient here")

    return Net(lambda self, x, y: Once.apply(y))


@network("model cannot be trained: its loss for train's first 2 pictures is .* NaN or infinite")
def infinite_gradients():
    return Net(lambda self, x, y: y + (self.head.weight - self.head.weight).sum().sqrt())


# How it is wrapped


@network("note: The network inside nn.DataParallel was searched, without it.")
def data_parallel():
    return nn.DataParallel(build())


@network("note: The network inside torch.compile was searched, without it.")
def compiled():
    return torch.compile(build())


@network("note: The network inside torch.compile was searched, without it.")
def compiled_inside():
    return nn.Sequential(torch.compile(build()), nn.Linear(3, 3))


@network("")
def compiled_in_place():
    model = build()
    model.compile()
    return model


@network("note: The network inside AveragedModel was searched, without it.")
def averaged_weights():
    return torch.optim.swa_utils.AveragedModel(build())


@network("")
def weight_norm():
    model = Net()
    parametrizations.weight_norm(model.conv)
    return model


@network("")
def spectral_norm():
    model = Net()
    parametrizations.spectral_norm(model.head)
    return model


# The data


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(IMAGES, LABELS, strict=True))


@data("")
def a_stream():
    return Stream()


@data("")
def a_loader_of_a_stream():
    return DataLoader(Stream(), batch_size=10)


@data("")
def arrays_by_name():
    return {"labels": LABELS.numpy(), "images": IMAGES.numpy()}


@data("")
def items_with_the_label_first():
    return [{"label": int(label), "image": image, "file": "a.png"} for image, label in zip(IMAGES, LABELS, strict=True)]


@data("")
def labels_of_eight_bits():
    return IMAGES, LABELS.byte()


@data("")
def labels_of_sixteen_bits():
    return IMAGES.numpy(), LABELS.numpy().astype(np.uint16)


@data("")
def pictures_with_gradients():
    return IMAGES.clone().requires_grad_(), LABELS


@data("note: The pictures are float64; the network got them in float32.")
def float64_pictures():
    return IMAGES.numpy().astype(np.float64), LABELS


@data("to_input returns uint8 .*: for pictures scaled to 0 … 1, pass to_input=lambda x: x.float")
def bytes_without_to_input():
    return IMAGES.clamp(0, 1).mul(255).byte(), LABELS


@data(r"to_input returns int64 .*: pass to_input=lambda x: x.float\(\)")
def whole_numbers():
    return IMAGES.long(), LABELS


@data("train contains complex pictures; they must be dense tensors of plain numbers with values.")
def complex_pictures():
    return torch.complex(IMAGES, IMAGES), LABELS


@data("train contains empty pictures")
def pictures_without_pixels():
    return IMAGES[:, :, :0], LABELS


@data("train is list, which cannot be read as a data set .*item 1 gives ValueError: not enough values")
def an_item_that_fails():
    return [(IMAGES[0], 0), (IMAGES[1],)]


@data("train has labels that are text, such as 'cat'; they must be integers from 0 to classes − 1")
def names_as_labels():
    return IMAGES, ["cat", "dog"] * 16


@data("train has labels that are text, such as 'cat'")
def names_as_labels_of_items():
    return [(image, "cat") for image in IMAGES]


@data(r"train contains labels int64 \[32, 3\]; .* optimize takes one class per picture")
def several_classes_per_picture():
    return IMAGES, torch.ones(32, 3).long()


@data(r"train contains labels float32 \[32, 3\]; .* call labels.argmax\(1\)")
def mixed_labels():
    return IMAGES, torch.full((32, 3), 1 / 3)


@data("train has labels from -1; they must be integers from 0")
def a_label_for_unknown():
    return IMAGES, LABELS - 1


@data("train has labels from 1 to 3, but the model has 3 classes, numbered from 0: subtract 1")
def labels_from_one():
    return IMAGES, LABELS + 1


@data(r"train contains NaN or infinite values \(0.52 % of all\); pictures must be finite")
def a_missing_value():
    images = IMAGES.clone()
    images[:, 0, 0, 0] = torch.nan
    return images, LABELS


@data("train is function, which cannot be read as a data set")
def a_function_as_data():
    return a_stream


@data("train is TensorDataset, which cannot be read as a data set")
def three_tensors():
    return TensorDataset(IMAGES, LABELS, LABELS)


@data(r"model cannot be called on a batch of 2, float32 \[2, 8, 8, 3\]")
def channels_last():
    return IMAGES.permute(0, 2, 3, 1), LABELS
