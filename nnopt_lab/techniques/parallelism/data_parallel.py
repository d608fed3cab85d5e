"""Train one network by several processes (article, sections 2.4 and 4): the script that torchrun starts in each.

    torchrun --nproc-per-node=2 -m nnopt_lab.techniques.parallelism.data_parallel PICTURES JOB…   # names in JOBS

PICTURES is a file of `torch.save`: {"inputs": float32 [N, 3, 32, 32], "labels": int64 [N]}. Process 0 prints one line
of JSON per job. With one accelerator per process, the processes communicate through its library (NCCL on NVIDIA), else
through gloo.

Sources: Li et al. 2020, "PyTorch Distributed", https://arxiv.org/abs/2006.15704 (DDP); Zhao et al. 2023, "PyTorch
FSDP", https://arxiv.org/abs/2304.11277
"""

import argparse
import json
import os
import signal
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel as DDP

from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.workbench import models

Run = argparse.Namespace  # command-line options, pictures, and this process's job, device and (rank, processes)


def join() -> torch.device:
    """Join the other processes that torchrun has started; returns this process's device.

    torchrun's store still contains the addresses of processes that died, so every attempt uses its own keys.
    """
    accelerator, device = torch.accelerator.current_accelerator(check_available=True), torch.device("cpu")
    enough = torch.accelerator.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    if accelerator and accelerator.type != "mps" and enough:  # gloo can't send from MPS memory
        device = torch.device(accelerator.type, int(os.environ["LOCAL_RANK"]))
        torch.accelerator.set_device_index(device.index)
    store, rank, processes = next(dist.rendezvous("env://"))
    store = dist.PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
    backend = dist.get_default_backend_for_device(device)
    dist.init_process_group(backend, store=store, rank=rank, world_size=processes)
    return device


def networks(run: Run) -> tuple[nn.Module, DDP]:
    """A network, and a DDP copy with the same weights."""
    torch.manual_seed(0)
    model = models.MyNet().to(run.device)
    return model, DDP(copied(model))


def share_of_loss(model: nn.Module, run: Run, batch: Tensor, rank: int = 0, processes: int = 1) -> Tensor:
    """One process's part of the mean loss over `batch` (positions, int64 [B]), times the number of processes.

    DDP and FSDP average the processes' gradients, so the result is the gradient of the mean loss even if the shares
    are unequal; a process may even have no picture.
    """
    mine = batch[rank::processes]
    logits, labels = model(run.inputs[mine].to(run.device)), run.labels[mine].to(run.device)
    return cross_entropy(logits, labels, reduction="sum") * processes / len(batch)


def equal(run: Run) -> dict:
    """The largest |difference| between the gradient of all processes together and of one with the whole batch.

    For three batches: of --batch-size pictures, of one fewer, and of a single one.
    """
    sizes, largest = [run.batch_size, run.batch_size - 1, 1], []
    for batch in map(torch.arange, sizes):
        alone, together = networks(run)
        share_of_loss(together, run, batch, *run.place).backward()
        share_of_loss(alone, run, batch).backward()
        worst = _largest_difference(together, alone)
        dist.all_reduce(worst, dist.ReduceOp.MAX)
        largest.append(worst.item())
    return {"pictures": sizes, "largest": largest}


def speed(run: Run) -> dict:
    """Seconds of forward and backward on the same batch, measured in turns, and of the gradient exchange alone.

    Either all processes share the batch, with one thread each, or process 0 has all of it, with one thread or as many
    threads as there are processes.
    """
    alone, together = networks(run)
    batch, numbers = torch.arange(run.batch_size), nn.utils.parameters_to_vector(alone.parameters()).detach()

    def by_one(threads: int) -> None:
        if run.place[0] == 0:
            torch.set_num_threads(threads)
            share_of_loss(alone, run, batch).backward()
            torch.set_num_threads(1)

    ways = {
        "one thread": lambda: by_one(1),
        "threads": lambda: by_one(run.place[1]),
        "processes": lambda: share_of_loss(together, run, batch, *run.place).backward(),
        "exchange": lambda: dist.all_reduce(numbers),
    }
    seconds = {name: [] for name in ways}
    for name, step in list(ways.items()) * (run.rounds + 2):
        dist.barrier()
        started = time.perf_counter()
        step()
        if run.device.type != "cpu":
            torch.accelerator.synchronize()
        seconds[name].append(time.perf_counter() - started)
    return {name: values[2:] for name, values in seconds.items()}  # the first two warm up


def sharded(run: Run) -> dict:
    """Bytes in this process after a step of Adam (weights, gradients, two moments), with DDP and with FSDP2.

    "largest" is the largest |difference| between their gradients.
    """
    from torch.distributed.fsdp import fully_shard

    (split, together), held = networks(run), {}
    mesh = dist.init_device_mesh(run.device.type, (run.place[1],))
    for block in (*split.children(), split):  # the root alone would gather all weights at once
        fully_shard(block, mesh=mesh)
    for name, model in {"DDP": together, "FSDP2": split}.items():
        optimizer = torch.optim.Adam(model.parameters())
        share_of_loss(model, run, torch.arange(run.batch_size), *run.place).backward()
        optimizer.step()
        moments = [state[key] for state in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")]
        tensors = [*model.parameters(), *(p.grad for p in model.parameters()), *moments]
        held[name] = sum((t.to_local() if hasattr(t, "to_local") else t).nbytes for t in tensors)
    return held | {"largest": _largest_difference(together, split).item()}


def train(run: Run, dies_in: int = -1) -> dict:
    """Train; after every epoch, process 0 writes --checkpoint, from which the next attempt continues."""
    (_, together), (rank, processes), begin = networks(run), run.place, 0
    attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    optimizer = torch.optim.SGD(together.parameters(), lr=0.01, momentum=0.9)
    if run.checkpoint.is_file():
        state = torch.load(run.checkpoint, map_location=run.device)
        together.module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        begin = state["epoch"]
    for epoch in range(begin, run.epochs):
        # All randomness depends on the epoch only, so a repeated epoch is identical.
        order = torch.randperm(len(run.labels), generator=torch.Generator().manual_seed(epoch))
        for done, batch in enumerate(batches := order.split(run.batch_size)):
            if (attempt, epoch, rank, done) == (0, dies_in, processes - 1, len(batches) // 2):
                print(f"attempt 0, {run.job}: process {rank} dies in epoch {epoch}", flush=True)
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
            optimizer.zero_grad()
            share_of_loss(together, run, batch, rank, processes).backward()
            optimizer.step()
        if rank == 0:
            state = {"model": together.module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
            torch.save(state, f"{run.checkpoint}.new")
            os.replace(f"{run.checkpoint}.new", run.checkpoint)  # atomic: the file is never partial
            print(f"attempt {attempt}, {run.job}: epoch {epoch} done", flush=True)
    return {"attempt": attempt, "first epoch": begin}


def killed(run: Run) -> dict:
    """Run `train` with the checkpoint "--checkpoint.killed"; in epoch --kill, the last process kills itself.

    It does so halfway through the epoch, in the first attempt only, as abruptly as a failing machine.
    """
    run.checkpoint = Path(f"{run.checkpoint}.killed")
    return train(run, run.kill)


def _largest_difference(a: nn.Module, b: nn.Module) -> Tensor:
    split = [getattr(p.grad, "full_tensor", lambda p=p: p.grad)() for p in b.parameters()]  # gathers FSDP's shards
    return torch.stack([(p.grad - q).abs().max() for p, q in zip(a.parameters(), split, strict=True)]).max()


JOBS = {job.__name__: job for job in (equal, speed, sharded, train, killed)}


def main() -> None:
    """Run the jobs of the command line in order; after a restart, only the last one."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("jobs", nargs="+", choices=JOBS)
    parser.add_argument("--checkpoint", type=Path)
    for name, value in {"batch-size": 64, "rounds": 14, "epochs": 1, "kill": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    run = parser.parse_args()
    run.device = join()
    run.place = dist.get_rank(), dist.get_world_size()
    vars(run).update(torch.load(run.pictures))
    done = len(run.jobs) - 1 if int(os.environ["TORCHELASTIC_RESTART_COUNT"]) else 0  # only the last job dies
    for job in run.jobs[done:]:
        run.job = job
        result = JOBS[job](run)
        if run.place[0] == 0:
            print(json.dumps({job: result}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    os._exit(0)  # an orderly shutdown of torch would take longer than some of the jobs
