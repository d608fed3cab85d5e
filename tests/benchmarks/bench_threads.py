"""How should torch's threads wait for each other? Training time with spinning threads over that with sleeping ones.

    python tests/benchmarks/bench_threads.py [ROUNDS]

Interleaved runs in fresh processes, on the idle machine and beside another training run; prints the median ratio.
"""

import os
import subprocess
import sys
from statistics import median

WORK = """
import time, torch
from nnopt_lab.workbench import data, models, training
pictures, model = data.load(), models.MyNet()
some = pictures.train[:{count}]
training.fit(model, pictures, epochs=1, train=some[:500])
started = time.perf_counter()
training.fit(model, pictures, epochs=1, train=some)
print(time.perf_counter() - started)
"""


def start(policy: str, count: int) -> subprocess.Popen:
    environment = os.environ | {"OMP_WAIT_POLICY": policy, "TQDM_DISABLE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", WORK.format(count=count)], env=environment, stdout=subprocess.PIPE, text=True
    )


def seconds(policy: str, count: int = 1_500) -> float:
    return float(start(policy, count).communicate()[0])


def main(rounds: int) -> None:
    for place, neighbour in (("idle machine", None), ("beside another training run", "ACTIVE")):
        ratios = []
        for _ in range(rounds):
            other = start(neighbour, 18_000) if neighbour else None
            ratios.append(seconds("ACTIVE") / seconds("PASSIVE"))
            if other:
                other.kill()
        print(f"{place}: spinning takes {median(ratios):.2f} times as long ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
