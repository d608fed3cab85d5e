"""The search for a smaller or faster network: what it may choose from, when it gives up, and what it hands out."""

import copy
import json
import subprocess
import sys
import tempfile
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nnopt_lab.techniques.search.tradeoffs import Point, hypervolume, pareto_front
from torch import nn

import nnopt_lab
from nnopt_lab.techniques.convolutions import cost_model
from nnopt_lab.techniques.pruning import dependency_graph
from nnopt_lab.techniques.search import autotune, candidates, search_space, tradeoffs
from nnopt_lab.techniques.search.autotune import Goal, hopeless, optimize
from nnopt_lab.workbench import data

whole = st.tuples(st.integers(0, 8), st.integers(0, 8))


def build(seed=0):
    """A small network with a residual sum, batch norm and two linear layers."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(), nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 3),
    ).eval()  # fmt: skip


def pictures(count, seed):
    """Three classes that differ in their colour, nearly."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    images = torch.randn(count, 3, 8, 8, generator=generator)
    images[torch.arange(count), labels] += 0.7
    return images, labels


TRAIN, VALIDATION = pictures(256, 1), pictures(200, 2)


@pytest.fixture(scope="module")
def trained():
    model = build().train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(TRAIN[0]), TRAIN[1]).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(autouse=True)
def known_machine(monkeypatch):
    monkeypatch.setattr(cost_model, "calibrate", lambda: cost_model.CostModel(50.0, 10.0, 1e-5))


def search(model, goal="latency", **options):
    return optimize(model, TRAIN, VALIDATION, **{"goal": goal, "engine_names": (), "trials": 3, "epochs": 1} | options)


@pytest.fixture(scope="module")
def task(trained):
    splits = (candidates.as_split(given) for given in (TRAIN, VALIDATION))
    inputs = candidates.Inputs("given", *splits, None, (), (), (), lambda images: images)
    return candidates.Task(trained, inputs, 1, 1e-3, 64, 0, tempfile.TemporaryDirectory())


class TestFront:
    @given(st.lists(whole, min_size=1, max_size=12))
    def test_it_is_what_nobody_beats(self, points):
        front = [points[i] for i in pareto_front(points)]
        beaten = {p for p, q in product(points, points) if q != p and q[0] <= p[0] and q[1] <= p[1]}
        assert sorted(front) == front and set(front) == set(points) - beaten and len(set(front)) == len(front)

    @given(st.lists(whole, max_size=8), whole)
    def test_the_hypervolume_counts_the_squares_that_some_point_beats(self, points, reference):
        squares = product(range(reference[0]), range(reference[1]))
        wanted = sum(any(p[0] <= x and p[1] <= y for p in points) for x, y in squares)
        assert hypervolume(points, reference) == wanted

    @given(st.lists(whole, max_size=6), whole)
    def test_a_further_point_never_makes_it_smaller(self, points, more):
        assert hypervolume([*points, more], (9, 9)) >= hypervolume(points, (9, 9))


class TestHopeless:
    accuracies = st.floats(0, 100)

    @given(accuracies, st.floats(0, 9), st.lists(st.floats(-5, 30)), st.floats(0, 9), accuracies)
    def test_what_could_still_win_goes_on(self, accuracy, cost, gains, other, floor):
        hope = accuracy + max(gains, default=100)
        stopped = hopeless(accuracy, cost, gains, [(90.0, other)], floor)
        if hope >= floor and (cost < other or hope > 90):
            assert not stopped
        elif gains:
            assert stopped


class TestGoal:
    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"target": "speed"}, "target='speed' must be 'latency' or 'bytes'"),
            ({"max_drop": -1}, "max_drop=-1 must be at least 0"),
            ({"max_drop": float("nan")}, "max_drop=nan"),
            ({"batch": 0}, "batch=0"),
            ({"max_bytes": 0}, "max_bytes=0"),
            ({"max_latency": -1.0}, "max_latency=-1.0"),
        ],
    )
    def test_what_is_no_goal_is_refused(self, wrong, sentence):
        with pytest.raises(ValueError, match=sentence):
            Goal(**wrong)

    def test_arguments_of_the_search_too(self, trained):
        for options, sentence in (
            ({"trials": 0}, "trials=0"),
            ({"sampler": "grid"}, "sampler='grid'"),
            ({"goal": "size"}, "target='size'"),
            ({"engine_names": ["abacus"]}, "'abacus'"),
        ):
            with pytest.raises(ValueError, match=sentence):
                search(trained, **options)
        with pytest.raises(ValueError, match="200 pictures and 199 labels"):
            optimize(trained, TRAIN, (VALIDATION[0], VALIDATION[1][:-1]))
        with pytest.raises(ValueError, match="model is int; it must be a classifier"):
            optimize(3, TRAIN, VALIDATION)


CONFIG = {
    "channels": {"0": 0.5, "7": 0.5},
    "energy": {"linear": 0.9},
    "sparsity": 0.5,
    "bits": {"0": 4, "4": 3, "7": 2, "9": 5},
    "teacher": 0.5,
    "engine": "eager float32",
}


class TestCandidates:
    def test_the_same_configuration_is_the_same_network_and_the_original_stays(self, task):
        before = copy.deepcopy(task.model.state_dict())
        first, again = (candidates.make(task, CONFIG) for _ in range(2))
        assert all(
            torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
        )
        assert all(torch.equal(before[name], value) for name, value in task.model.state_dict().items())

    def test_it_is_what_the_configuration_says(self, task):
        model = candidates.make(task, CONFIG)
        assert model[0].out_channels == 4 and model[4].out_channels == 8
        assert isinstance(model[7], nn.Sequential) and model[7][1].out_features == 16
        values = {n: w.unique() for n, w in model.named_parameters() if n.endswith("weight") and w.dim() > 1}
        most = {"0.weight": 17, "4.weight": 9, "7.0.weight": 5, "7.1.weight": 5}
        assert all(len(values[name]) <= count for name, count in most.items())
        weights = torch.cat([w.flatten() for n, w in model.named_parameters() if w.dim() > 1])
        assert 0.49 < (weights == 0).float().mean() < 0.52

    def test_what_is_watched(self, task):
        seen = []
        candidates.make(task, CONFIG, lambda model, accuracies, left: seen.append((len(accuracies), left)))
        assert seen == [(0, 2), (1, 1), (2, 0)]
        seen.clear()
        candidates.make(task, {"engine": "eager float32"}, lambda *watched: seen.append(watched[1:]))
        assert seen == [([], 0)]

    def test_files_give_the_network_back(self, task, tmp_path):
        model = candidates.make(task, CONFIG)
        files = candidates.save(tmp_path / "new", task, CONFIG, model, {"more": 1})
        assert [f.name for f in files] == ["weights.safetensors", "config.json", "weights.nndc", "model.onnx"]
        loaded = candidates.load(tmp_path / "new", build(seed=9), task.inputs(1))
        with torch.no_grad():
            assert torch.equal(loaded(VALIDATION[0]), model(VALIDATION[0]))
        known = json.loads(files[1].read_text())
        assert known["config"] == CONFIG and known["more"] == 1
        assert candidates.file_bytes(model, CONFIG) == files[2].stat().st_size

    def test_unknown_keys(self, task):
        with pytest.raises(ValueError, match="config has bit; it may have channels, energy"):
            candidates.shape(task.model, task.inputs(1), {"bit": 3})

    def test_data_in_every_form(self):
        split = candidates.as_split(TRAIN)
        of_pairs = candidates.as_split(torch.utils.data.TensorDataset(*TRAIN))
        assert candidates.as_split(split) is split
        assert torch.equal(of_pairs.images, split.images) and torch.equal(of_pairs.labels, split.labels)


class TestSpace:
    def test_every_start_is_drawn_from_the_space(self, task):
        for goal in (Goal(), Goal("bytes"), Goal(max_bytes=1000)):
            space = search_space.Space(task, goal, {"eager float32": 2.0, "ONNX Runtime int8": 1.0})
            drawn = space.distributions()
            starts = space.starts(search_space.sensitivity(task, space.groups, lambda model: 1.0))
            assert len(starts) > 5
            for start in starts:
                assert start.keys() == drawn.keys()
                assert all(d._contains(d.to_internal_repr(start[name])) for name, d in drawn.items())
                candidates.shape(task.model, task.inputs(1), space.config(start))
            assert ("bits" in drawn) == goal.counts_bytes

    def test_neutral_knobs_change_nothing(self, task):
        space = search_space.Space(task, Goal(), {"eager float32": 2.0, "ONNX Runtime int8": 1.0})
        starts = [space.config(start) for start in space.starts(dict.fromkeys(space.groups, (0.0, 0.0)))]
        assert starts[0] == {"engine": "ONNX Runtime int8", "teacher": 0.9}
        assert {"engine": "eager float32", "teacher": 0.9} not in starts, "that is the original"

    def test_the_least_sensitive_group_is_narrowed_most(self, task):
        space = search_space.Space(task, Goal(), {"eager float32": 1.0})
        sensitive = {"0": (5.0, 0.5), "4": (0.1, 0.5), "7": (1.0, 0.5)}
        factors = space._factors(sensitive)
        assert factors == {"width of 4": 0.5, "width of 7": 1.0, "width of 0": 1.5}

    def test_half_of_a_group_is_removed(self, task):
        found = search_space.sensitivity(task, ["7"], lambda model: sum(p.numel() for p in model.parameters()))
        halved = 16 * 129 + 16 * 3
        assert found["7"][1] == pytest.approx(halved / sum(p.numel() for p in task.model.parameters()))
        assert found["7"][0] >= 0


class TestSearch:
    def test_its_best_keeps_the_limits_and_nothing_that_does_is_better(self, trained):
        found = search(trained, Goal("bytes", max_drop=2.0), trials=8)
        assert len(found.points) + found.stopped == 8 and not found.failed and not found.interrupted
        allowed = [p for p in found.points if p.accuracy >= found.original.accuracy - 2.0]
        assert found.best.bytes == min(p.bytes for p in allowed) < found.original.bytes / 4
        assert 0 < found.hypervolume() <= 1 and found.best in found.front
        text = repr(found)
        assert "original" in text and "(best)" in text and "bits a weight" in text
        assert found._repr_html_().startswith("<table") and found.plot().axes

    def test_a_point_is_rebuilt_with_its_own_figures(self, trained):
        found = search(trained, "bytes")
        for point in found.points:
            model = found.rebuild(point)
            with torch.no_grad():
                right = (model(VALIDATION[0]).argmax(1) == VALIDATION[1]).float().mean().item()
            assert 100 * right == pytest.approx(point.accuracy)
            assert candidates.file_bytes(model, point.config) == point.bytes

    def test_in_memory_the_same_seed_draws_the_same(self, trained):
        first, again = (search(trained, "bytes", by_hand=False, seed=4) for _ in range(2))
        assert [p.config for p in first.points] == [p.config for p in again.points]
        assert [p.accuracy for p in first.points] == [p.accuracy for p in again.points]
        other = search(trained, "bytes", by_hand=False, seed=5, sampler="random")
        assert [p.config for p in other.points] != [p.config for p in first.points]

    def test_a_search_goes_on_where_it_was(self, trained, tmp_path):
        storage = tmp_path / "search.db"
        first = search(trained, "bytes", storage=storage, trials=2)
        again = search(trained, "bytes", storage=storage, trials=4)
        assert again.points[:2] == first.points and len(again.points) + again.stopped == 4
        assert search(trained, "bytes", storage=storage, trials=4).points == again.points
        with pytest.raises(ValueError, match="holds a search for another network"):
            search(build(seed=3), "bytes", storage=storage)
        with pytest.raises(ValueError, match="another goal"):
            search(trained, Goal("bytes", max_drop=3), storage=storage)

    def test_two_searchers_share_a_database(self, task, tmp_path):
        url = f"sqlite:///{tmp_path / 'shared.db'}"
        one, two = (autotune._Searcher(task, Goal("bytes"), (), url, "tpe") for _ in range(2))
        one.run(1, None)
        assert two.run(3, None).points[0] == one.found.points[0]
        assert one.run(3, None).points == two.found.points

    def test_ctrl_c_keeps_what_was_found_and_the_trial_is_tried_again(self, trained, tmp_path, monkeypatch):
        make, calls = candidates.make, []

        def interrupted(*arguments):
            calls.append(arguments[1])
            if len(calls) == 2:
                raise KeyboardInterrupt
            return make(*arguments)

        monkeypatch.setattr(candidates, "make", interrupted)
        found = search(trained, "bytes", trials=5, storage=tmp_path / "search.db")
        assert found.interrupted and len(found.points) == 1
        found = search(trained, "bytes", trials=2, storage=tmp_path / "search.db")
        assert not found.interrupted and len(found.points) == 2

    def test_a_trial_that_fails_does_not_end_the_search(self, trained, monkeypatch):
        make, calls = candidates.make, []

        def failing(*arguments):
            calls.append(1)
            if len(calls) == 1:
                raise ValueError("The loss became nan.")
            return make(*arguments)

        monkeypatch.setattr(candidates, "make", failing)
        found = search(trained, "bytes")
        assert found.failed == ["The loss became nan."] and len(found.points) == 2
        monkeypatch.setattr(candidates, "make", lambda *_: (_ for _ in ()).throw(ValueError("no")))
        with pytest.raises(ValueError, match="No trial succeeded; the last one said: no"):
            search(trained, "bytes")

    def test_hopeless_trials_are_stopped_before_their_last_epoch(self, trained, monkeypatch):
        monkeypatch.setattr(autotune, "hopeless", lambda *_: True)
        found = search(trained, Goal("bytes"), trials=8, epochs=2)
        assert len(found.points) == autotune.FEWEST and found.stopped == 4

    def test_the_estimate_stops_what_would_break_a_limit(self, task):
        searcher = autotune._Searcher(task, Goal("bytes", max_bytes=10), (), None, "tpe")
        found = searcher.run(8, None)
        assert len(found.points) == autotune.FEWEST and found.stopped == 4 and found.best is None
        with pytest.raises(ValueError, match="No point keeps the limits yet"):
            found.rebuild()

    def test_seconds(self, trained):
        assert len(search(trained, trials=50, seconds=1e-9).points) == 0

    def test_what_cannot_be_traced_is_searched_without_removing_channels(self):
        class Branching(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = build()

            def forward(self, x):
                return self.inner(x) if len(x) > 0 else x.sum()

        found = search(Branching(), "bytes")
        assert "Channels were not removed: model cannot be traced" in found.notes[0]
        assert found.points and all("channels" not in p.config for p in found.points)

    def test_the_original_is_left_as_it_was(self, trained):
        before = copy.deepcopy(trained.state_dict())
        search(trained, "bytes")
        assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
        assert not trained.training

    @pytest.mark.parametrize("name", ["resnet", "mobilenet"])
    def test_for_torchvisions_networks(self, name):
        from torchvision.models import mobilenet_v3_small, resnet

        torch.manual_seed(0)
        if name == "resnet":
            model = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)
        else:
            model = mobilenet_v3_small(num_classes=3, width_mult=0.25)
        few = tuple(x[:64] for x in TRAIN), tuple(x[:32] for x in VALIDATION)
        options = {"engine_names": (), "epochs": 1, "to_input": lambda x: nn.functional.interpolate(x, (32, 32))}
        found = optimize(model, *few, trials=1, goal=Goal(max_drop=100.0), by_hand=False, **options)
        assert not found.failed and not found.notes and len(found.points) == 1
        assert len(found.points[0].config["channels"]) > 4
        shrunk = sum(p.numel() for p in found.rebuild(found.points[0]).parameters())
        assert shrunk < 0.9 * sum(p.numel() for p in found.task.model.parameters())

    def test_the_hypervolume_by_hand(self, task):
        points = [Point(0, {}, 90.0, 50, 1.0), Point(1, {}, 88.0, 25, 1.0), Point(2, {}, 92.0, 90, 1.0)]
        found = tradeoffs.Search(task, Goal("bytes", max_drop=4.0), Point(-1, {}, 90.0, 100, 1.0), points)
        # Nothing lost at half the cost: half of the rectangle; from 2 of 4 points lost another quarter of its height.
        assert found.hypervolume() == pytest.approx(0.5 + 0.5 * 0.25)
        assert found.front == [points[2], points[0], points[1]] and found.best == points[1]
        assert "12.5" not in repr(found)


class TestOutside:
    def test_it_is_the_packages_own_and_costs_nothing_before_it_is_used(self):
        assert nnopt_lab.optimize is optimize
        code = "import sys, nnopt_lab; print('torch' in sys.modules, 'optuna' in sys.modules)"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
        with pytest.raises(AttributeError, match="no attribute 'optimise'"):
            _ = nnopt_lab.optimise

    def test_export(self, trained, tmp_path):
        found = search(trained, Goal(max_drop=100.0), trials=4)
        point = found.points[1]
        files = found.export(tmp_path / "out", point)
        assert [f.name for f in files] == ["weights.safetensors", "config.json", "model.onnx", "report.md"]
        report = files[-1].read_text(encoding="utf-8")
        assert "channels kept: 0 75 %" in report and "95 % interval" in report and "4 trials" in report
        onnxruntime = pytest.importorskip("onnxruntime")
        session = onnxruntime.InferenceSession(files[2])
        logits = torch.from_numpy(session.run(None, {"x": VALIDATION[0].numpy()})[0])
        assert torch.allclose(logits, found.rebuild(point)(VALIDATION[0]), atol=1e-4)

    def test_the_command(self, tmp_path, capfd, monkeypatch):
        from nnopt_lab import cli

        (tmp_path / "mine.py").write_text(
            "import torch\nfrom torch import nn\n"
            "def build():\n    torch.manual_seed(0)\n"
            "    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))\n"
            "def load():\n    g = torch.Generator().manual_seed(0)\n"
            "    x, y = torch.randn(80, 3, 8, 8, generator=g), torch.randint(0, 3, (80,), generator=g)\n"
            "    return (x[:60], y[:60]), (x[60:], y[60:])\n"
        )
        monkeypatch.chdir(tmp_path)

        def nnopt(*arguments):
            monkeypatch.setattr(sys, "argv", ["nnopt", "optimize", *arguments])
            with pytest.raises(SystemExit) as end:
                cli.main()
            return end.value.code or 0, *capfd.readouterr()

        options = ("--data", "mine.py:load", "--target", "bytes", "--max-drop", "100", "--trials", "2")
        status, out, _ = nnopt("mine.py:build", *options, "--storage", "search.db", "--out", "small")
        assert status == 0 and "(best)" in out and "weights.nndc" in out
        assert (tmp_path / "small" / "report.md").is_file() and (tmp_path / "search.db").is_file()
        assert nnopt("mine.py:nothing", *options)[::2] == (2, "mine.py has no function 'nothing'.\n")
        assert "must be script.py:function" in nnopt("other.py:build", *options)[2]
        assert "or one of fashion" in nnopt("mine.py:build", "--data", "fashon")[2]
        assert "it must return a tuple (train, validation)" in nnopt("mine.py:load", "--data", "mine.py:build")[2]
        assert nnopt("mine.py:nothing", *options, "--engine", "abacus")[2].startswith("names holds 'abacus'")


def test_channels_are_named_in_words(task):
    assert tradeoffs.describe(CONFIG) == [
        "computed by eager float32",
        "channels kept: 0 50 %, 7 50 %",
        "linear layers: rank for 90 % of the energy",
        "50 % of the weights pruned",
        "bits a weight: 0 4, 4 3, 7 2, 9 5",
        "taught by the original, share 0.5",
    ]
    assert dependency_graph.channel_groups(task.model, task.inputs(1))[1].name == "0"
    assert data.NAMES[0] == "fashion"
