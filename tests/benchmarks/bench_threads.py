"""How should torch's threads wait for each other? Spinning, sleeping at once, or as the course has it.

    python tests/benchmarks/bench_threads.py [ROUNDS]

Interleaved runs in fresh processes, on the idle machine and beside another training run; prints ratios to the course's
setting, the median and the range: beside others, spinning goes well or very badly, as the scheduler will have it.
"""

import os
import subprocess
import sys
from statistics import median

START = """
import time
import nnopt_lab, torch  # in this order: torch reads the setting
from nnopt_lab.workbench import data, measure, models, training
pictures, model = data.load(), models.MyNet()
"""
NEIGHBOUR = START + "training.fit(model, pictures, epochs=1_000)"
WORK = (
    START
    + """
some = pictures.train[:1_500]
training.fit(model, pictures, epochs=1, train=some[:500])
started = time.perf_counter()
training.fit(model, pictures, epochs=1, train=some)
print(time.perf_counter() - started)
print(measure.latency(dict(model=model), pictures.to_input(pictures.test.images[:1]), rounds=20)["model"].median)
"""
)
OURS = "as the course has it"
SETTINGS = {
    OURS: {},
    "spinning": {"OMP_WAIT_POLICY": "ACTIVE"},
    "sleeping at once": {"OMP_WAIT_POLICY": "PASSIVE"},
}


def start(setting: str, program: str) -> subprocess.Popen:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "KMP_"))}
    environment = plain | SETTINGS[setting] | {"TQDM_DISABLE": "1"}
    return subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)


def seconds(setting: str) -> list[float]:
    return [float(line) for line in start(setting, WORK).communicate()[0].split()]


def main(rounds: int) -> None:
    for place, neighbour in (("idle machine", None), ("beside another training run", OURS)):
        ratios = {name: [] for name in SETTINGS if name != OURS}
        for _ in range(rounds):
            other = start(neighbour, NEIGHBOUR) if neighbour else None
            ours = seconds(OURS)
            for name, found in ratios.items():
                found.append([theirs / mine for theirs, mine in zip(seconds(name), ours, strict=True)])
            if other:
                other.kill()
        for name, found in ratios.items():
            training, single = (
                f"{median(column):.2f} ({min(column):.2f} to {max(column):.2f})" for column in zip(*found, strict=True)
            )
            print(f"{place}, {name}: training takes {training} times as long, one picture {single} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
