"""Which networks does channel pruning follow, how exactly, and how fast? Against Torch-Pruning, if it is installed.

    python tests/benchmarks/bench_groups.py [NAME …]

For each family of torchvision with random weights and 10 classes: the largest difference between masked and shrunken
output as a share of the largest output, in float64; the processor's seconds for the groups alone; and the share of the
parameters left with half of every group. Every network runs in a process of its own, for at most LIMIT seconds.
"""

import importlib.util
import json
import subprocess
import sys
import time

import nnopt_lab  # noqa: F401 (lets a torchvision load that was built for another torch)

LIMIT = 240
FAMILIES = (
    "alexnet", "vgg11_bn", "resnet18", "wide_resnet50_2", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5",
    "resnext50_32x4d", "regnet_x_400mf", "regnet_y_400mf", "densenet121", "googlenet", "googlenet+auxiliary",
    "inception_v3", "squeezenet1_1", "shufflenet_v2_x0_5", "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny",
    "vit_b_32", "swin_t", "maxvit_t",
)  # fmt: skip
SIZES = {"inception_v3": 299, "vit_b_32": 224, "swin_t": 224, "maxvit_t": 224}


def network(name: str):
    """The network in evaluation mode and an input, both in float64, with random weights and batch norm statistics."""
    import torch
    from torchvision.models import get_model

    from tests.techniques.pruning.channel_networks import settled

    kind = name.partition("+")[0]
    options = {"init_weights": False} if kind in ("googlenet", "inception_v3", "vgg11_bn") else {}
    if kind == "googlenet":
        options["aux_logits"] = "+" in name
    torch.manual_seed(0)
    model = settled(get_model(kind, num_classes=10, **options)).double()
    side = SIZES.get(name, 64)
    return model, torch.randn(1, 3, side, side, dtype=torch.float64)


def ours(name: str) -> dict:
    import torch

    from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph

    model, x = network(name)
    dependency_graph.channel_groups(model, x)  # imports and first calls are not the graph's
    started = time.process_time()
    groups = dependency_graph.channel_groups(model, x)
    seconds = time.process_time() - started
    keep = channel_pruning.keep_most_important(model, x, 0.5)
    zeroed, small = (f(model, x, keep) for f in (channel_pruning.zero_channels, channel_pruning.remove_channels))
    with torch.no_grad():
        wanted, got = zeroed(x), small(x)
    return {
        "error": float((got - wanted).abs().max() / wanted.abs().max()),
        "seconds": seconds,
        "left": parameters(small) / parameters(model),
        "frozen": sum(bool(group.reason) for group in groups),
    }


def theirs(name: str) -> dict:
    import torch

    model, x = network(name)
    import torch_pruning

    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)][-1]
    before = parameters(model)
    started = time.process_time()
    torch_pruning.DependencyGraph().build_dependency(model, x)
    seconds = time.process_time() - started
    pruner = torch_pruning.pruner.MetaPruner(
        model, x, torch_pruning.importance.MagnitudeImportance(p=1), pruning_ratio=0.5, ignored_layers=[last]
    )
    pruner.step()
    model(x)
    return {"seconds": seconds, "left": parameters(model) / before}


def parameters(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def in_a_process(which: str, name: str) -> dict | str:
    try:
        made = subprocess.run(
            [sys.executable, __file__, "--one", which, name], capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"nothing within {LIMIT} s"
    if made.returncode:
        return made.stderr.strip().splitlines()[-1][:60] if made.stderr.strip() else f"exit {made.returncode}"
    return json.loads(made.stdout.splitlines()[-1])


def main(names: list[str]) -> None:
    has_theirs = importlib.util.find_spec("torch_pruning") is not None
    print("| network | error | seconds | left | frozen groups | Torch-Pruning: seconds | left |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        mine = in_a_process("ours", name)
        other = in_a_process("theirs", name) if has_theirs else "not installed"
        cells = [mine, "", "", ""]
        if isinstance(mine, dict):
            cells = [f"{mine['error']:.0e}", f"{mine['seconds']:.2f}", f"{mine['left']:.2f}", f"{mine['frozen']}"]
        more = [other, ""]
        if isinstance(other, dict):
            more = [f"{other['seconds']:.2f}", f"{other['left']:.2f}"]
        print("|", " | ".join([name, *cells, *more]), "|", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps((ours if sys.argv[2] == "ours" else theirs)(sys.argv[3])))
    else:
        main(sys.argv[1:] or list(FAMILIES))
