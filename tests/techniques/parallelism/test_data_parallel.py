"""Several processes: the gradient of one, nothing lost when one dies, half the memory each."""

import pytest
import torch

from nnopt_lab.techniques.parallelism import data_parallel, launching


@pytest.fixture(scope="module")
def of_two(folder):
    """The results of two processes of which one dies at the end, and what they said."""
    jobs, said = ("equal", "sharded", "speed", "train", "killed"), []
    options = ("--batch-size", 16, "--rounds", 2, "--epochs", 4, "--checkpoint", folder / "calm.pt", "--kill", 2)
    return launching.launch(folder / "pictures.pt", *jobs, *options, restarts=1, show=said.append) | {"said": said}


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_together_have_the_gradient_of_one_with_the_whole_batch(processes, folder, of_two):
    found = of_two["equal"]
    if processes != 2:
        found = launching.launch(folder / "pictures.pt", "equal", "--batch-size", 16, processes=processes)["equal"]
    assert found["pictures"] == [16, 15, 1]  # a single picture: the other processes have none
    assert all(difference < 1e-6 for difference in found["largest"])


def test_fsdp_holds_half_of_what_ddp_holds_and_computes_the_same(of_two):
    parameters = 268_650
    assert of_two["sharded"]["DDP"] == 16 * parameters  # weights, gradients, two moments, 4 bytes each
    assert of_two["sharded"]["FSDP2"] == 8 * parameters
    assert of_two["sharded"]["largest"] < 1e-6


def test_every_way_is_timed_equally_often(of_two):
    assert set(of_two["speed"]) == {"one thread", "threads", "processes", "exchange"}
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in of_two["speed"].values())


def test_a_killed_process_costs_no_more_than_its_epoch(folder, of_two):
    assert of_two["said"] == [
        *(f"attempt 0, train: epoch {epoch} done" for epoch in range(4)),
        *(f"attempt 0, killed: epoch {epoch} done" for epoch in (0, 1)),
        "attempt 0, killed: process 1 dies in epoch 2",
        *(f"attempt 1, killed: epoch {epoch} done" for epoch in (2, 3)),
    ]
    assert (of_two["train"]["attempt"], of_two["killed"]) == (0, {"attempt": 1, "first epoch": 2})
    calm, killed = (torch.load(folder / name) for name in ("calm.pt", "calm.pt.killed"))
    assert calm["epoch"] == killed["epoch"] == 4
    assert all(torch.equal(weight, killed["model"][name]) for name, weight in calm["model"].items())
    momenta = [[s["momentum_buffer"] for s in c["optimizer"]["state"].values()] for c in (calm, killed)]
    assert all(torch.equal(a, b) for a, b in zip(*momenta, strict=True)) and len(momenta[0]) == 8


def test_shares_of_the_loss_sum_to_the_whole_whatever_their_sizes():
    generator = torch.Generator().manual_seed(0)
    run = data_parallel.argparse.Namespace(
        inputs=torch.randn(7, 5, generator=generator), labels=torch.arange(7) % 3, device=torch.device("cpu")
    )
    model, batch = torch.nn.Linear(5, 3), torch.tensor([6, 0, 3, 5, 1])
    whole = torch.nn.functional.cross_entropy(model(run.inputs[batch]), run.labels[batch])
    torch.testing.assert_close(data_parallel.share_of_loss(model, run, batch), whole)
    for processes in (2, 3, 6):
        shares = [data_parallel.share_of_loss(model, run, batch, rank, processes) for rank in range(processes)]
        torch.testing.assert_close(sum(shares) / processes, whole)
