"""Is `optimize` ahead of what an engineer would do without it? And is its sampler better than random search?

    python tests/benchmarks/bench_search.py race [--networks resnet18 mobilenet_v3_small] [--batches 1 32] [--trials 6]
    python tests/benchmarks/bench_search.py mynet [--batches 1 32] [--trials 12]
    python tests/benchmarks/bench_search.py sampler [--seeds 5] [--trials 12]

One thread and processor time, in turns; ratios to eager torch with 95 % intervals. Torch-Pruning is skipped if it is
missing. In `race`, weights are random and nothing is trained on either side, so accuracy means nothing; "optimize, at
least half" is the fastest candidate that keeps half of each group's channels, as Torch-Pruning does. In `mynet`, both
sides train for 2 epochs on the same 3,000 pictures, and accuracy is that of the test pictures.
"""

import argparse
import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from nnopt_lab.techniques.deployment import EngineUnavailable
from nnopt_lab.techniques.deployment.registry import build_engine
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.points import EAGER, Goal, Point
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.workbench import data, measure, models, recipes, training

RIVALS = (("OpenVINO int8", True), ("ONNX Runtime float32", True), ("OpenVINO int8", False), ("compiled bf16", False))
FEW = 3_000  # training pictures of MyNet


def halved(model: nn.Module, example: torch.Tensor) -> nn.Module:
    """Half of the channels removed by Torch-Pruning, all but the classes."""
    pruning = importlib.import_module("torch_pruning")
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    score = pruning.importance.MagnitudeImportance(p=1)
    pruner = pruning.pruner.MagnitudePruner(model, example, score, pruning_ratio=0.5, ignored_layers=[last])
    pruner.step()
    return model


def rivals(build: Callable[[], nn.Module], calibration, train: Callable[[nn.Module], object]) -> dict:
    """The engines of the other contestants, by name, each with its number of parameters."""
    found = {}
    for name, pruned in RIVALS:
        if pruned and not importlib.util.find_spec("torch_pruning"):
            print(f"Torch-Pruning + {name}: skipped, torch_pruning is missing", flush=True)
            continue
        model = build()
        if pruned:
            model = halved(model, calibration[0][:1])
            train(model)
        title = f"Torch-Pruning 50 % + {name}" if pruned else name
        try:
            found[title] = build_engine(model.eval(), calibration, name), measure.parameters(model).total
        except EngineUnavailable as unavailable:
            print(f"{title}: skipped, {unavailable}", flush=True)
    return found


def keeps_half(point: Point) -> bool:
    return all(share >= 0.5 for share in point.config.get("channels", {}).values()) and "energy" not in point.config


def winners(found: Search) -> dict:
    """The search's best engine, and the best one that keeps half of each group, each with its number of parameters."""
    allowed = [point for point in found.points if found.allowed(point)]
    kept = min(filter(keeps_half, allowed), key=found.cost, default=None)
    chosen = {}
    for title, point in (("optimize, best", found.best), ("optimize, at least half", kept)):
        if point is not None:
            model = found.network(point)
            engine = build_engine(model, found.task.calibration, point.config["engine"])
            chosen[f"{title} ({point.config['engine']})"] = engine, measure.parameters(model).total
    return chosen


def contest(engines: dict, batch: torch.Tensor, rounds: int, test: Callable[[Callable], str]) -> None:
    """Time all engines in turns, and print a line for each."""
    timings = measure.latency(
        {name: engine for name, (engine, _) in engines.items()}, batch, rounds, 60.0, time.process_time
    )
    for name, (engine, count) in engines.items():
        faster = measure.ratio(timings[EAGER], timings[name])
        print(
            f"  {name:50} {faster.estimate:6.2f} ({faster.low:.2f} to {faster.high:.2f})  "
            f"{measure.format_count(count):>6} parameters{test(engine)}",
            flush=True,
        )


def race(name: str, batch: int, trials: int, rounds: int) -> None:
    from torchvision import models as library

    def build() -> nn.Module:
        torch.manual_seed(0)
        return getattr(library, name)(num_classes=10).eval()

    generator = torch.Generator().manual_seed(0)
    pictures, labels = torch.rand(512, 3, 64, 64, generator=generator), torch.arange(512) % 10
    halves = (pictures[:256], labels[:256]), (pictures[256:], labels[256:])
    goal, started = Goal(max_drop=100.0, batch=batch), time.process_time()
    found = optimize(build(), *halves, goal=goal, trials=trials, epochs=1, rate=1e-9, stop_early=False)
    seconds = time.process_time() - started
    print(f"{name}, batch {batch}: {found.trials} trials took {seconds:.0f} processor seconds", flush=True)
    original = build_engine(build(), found.task.calibration, EAGER), measure.parameters(build()).total
    engines = {EAGER: original} | winners(found) | rivals(build, found.task.calibration, lambda model: None)
    contest(engines, pictures[256 : 256 + batch], rounds, lambda engine: "")


def mynet(batch: int, trials: int, rounds: int) -> None:
    pictures = data.load("fashion")
    few = pictures.train[:FEW]
    goal = Goal(max_drop=1.0, batch=batch)
    started = time.process_time()
    found = optimize(
        models.trained("mynet"),
        few,
        pictures.validation,
        to_input=pictures.to_input,
        goal=goal,
        trials=trials,
        epochs=2,
    )
    seconds = time.process_time() - started
    print(f"MyNet, batch {batch}: {found.trials} trials took {seconds:.0f} processor seconds", flush=True)

    def train(model: nn.Module) -> None:
        recipes.one_cycle(
            model, pictures, epochs=2, peak=1e-3, batch_size=128, steps_per_epoch=-(-FEW // 128), train=few
        )

    calibration = found.task.calibration
    original = build_engine(models.trained("mynet"), calibration, EAGER)
    correct = training.evaluate(original, pictures.test, pictures, device="cpu").correct

    def lost(engine: Callable) -> str:
        seen = training.evaluate(engine, pictures.test, pictures, device="cpu")
        change = measure.proportion_difference(correct, seen.correct)
        return f", accuracy {change.estimate:+.2f} ({change.low:+.2f} to {change.high:+.2f}) points"

    engines = {EAGER: (original, measure.parameters(models.trained("mynet")).total)} | winners(found)
    engines |= rivals(lambda: models.trained("mynet"), calibration, train)
    contest(engines, pictures.to_input(pictures.test.images[:batch]), rounds, lost)


def sampler(seeds: int, trials: int) -> None:
    """The search against random search with the same number of trials, and without each of its parts."""
    pictures = data.load("fashion")
    kinds = {
        "search": {},
        "without starts": {"manual_starts": False},
        "random": {"sampler": "random", "manual_starts": False, "stop_early": False},
    }
    scores: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for seed in range(seeds):
        for kind, options in kinds.items():
            found = optimize(
                models.trained("mynet"),
                pictures.train[:1_000],
                pictures.validation[:2_000],
                to_input=pictures.to_input,
                goal=Goal(max_drop=2.0, batch=64),
                engine_names=(EAGER,),
                trials=trials,
                epochs=1,
                seed=seed,
                **options,
            )
            best = found.original.latency / found.best.latency if found.best else 1.0
            scores[kind].append((found.hypervolume(), best))
            print(f"seed {seed}, {kind}: hypervolume {scores[kind][-1][0]:.3f}, best {best:.2f} times", flush=True)
    for kind in list(kinds)[:-1]:
        for place, what in enumerate(("hypervolume", "speed-up of the best")):
            pairs = zip(scores[kind], scores["random"], strict=True)
            print(f"{kind} minus random, {what}: {_interval([a[place] - b[place] for a, b in pairs])}")


def _interval(differences: list[float]) -> str:
    """The mean and its 95 % interval by Student's t, for at least 2 differences."""
    t = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}[len(differences)]
    mean, error = statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    return f"{mean:+.3f} ({mean - t * error:+.3f} to {mean + t * error:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("race", "mynet", "sampler"))
    parser.add_argument("--networks", nargs="+", default=["resnet18", "mobilenet_v3_small"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5, choices=range(2, 11))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "sampler":
        sampler(given.seeds, given.trials or 12)
    for batch in given.batches if given.what != "sampler" else ():
        if given.what == "mynet":
            mynet(batch, given.trials or 12, given.rounds)
        for name in given.networks if given.what == "race" else ():
            race(name, batch, given.trials or 6, given.rounds)


if __name__ == "__main__":
    main()
