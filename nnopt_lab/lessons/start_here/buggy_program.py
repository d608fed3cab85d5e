"""The program of lesson 00's bug hunt: its lines, and the bugs in them."""

from dataclasses import dataclass

from nnopt_lab.workbench.language import Message, translated

_LINES = """\
class Net(nn.Module):
    def __init__(self): …          # the layers printed in section 1
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        …

def quantise model(model, num_bits):
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            w = layer.weight.data.byte()
            w = 2 ** (w // 256)
            layer.weight = nn.Parameter(w)

net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
quantise model(net, 8)
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
net.to(device)                     # "parallel training"
loss = nn.CrossEntropyLoss()(net(x), y)
loss.backward()
optimizer.step()
""".splitlines()
NUMBERS = range(1, len(_LINES) + 1)


@dataclass(frozen=True)
class Bug:
    """A bug.

    Attributes:
        lines: the numbers of those that show it, the plainest one first.
        sentence: what is wrong.
    """

    lines: tuple[int, ...]
    sentence: Message


BUGS = {  # by number, as in the lesson
    1: Bug((7, 16), Message("A name can't contain a space.")),
    2: Bug((4,), Message("`F` is never imported.")),
    3: Bug((10,), Message("The cast drops every fraction.")),
    4: Bug((11,), Message("256 does not fit into a byte.")),
    5: Bug((12,), Message("Integers have no gradient.")),
    6: Bug((7,), Message("`num_bits` is never used.")),
    7: Bug((12,), Message("No scale is stored.")),
    8: Bug((9,), Message("Biases and activations stay floats.")),
    9: Bug((15,), Message("The optimizer holds the old parameters.")),
    10: Bug((19, 20, 21), Message("No data, no loop, no evaluation.")),
    11: Bug((19,), Message("`x` is never moved to the device.")),
    12: Bug((18,), Message("One device is not parallel.")),
    13: Bug((17,), Message("`cuda:0` is hard-coded.")),
}


def code(line: int) -> str:
    """A line of the program, with its comment in the current language."""
    before, mark, comment = _LINES[line - 1].partition("# ")
    return before + mark + translated(comment)
