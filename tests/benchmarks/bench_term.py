"""A term of many learners: four assignments by way of Canvas, Moodle, blind marking and nbgrader, each in two rounds.

    python tests/benchmarks/bench_term.py [LEARNERS] [--jobs N] [--folder FOLDER]

Each round is one command, timed from start to end. The table has a row per kind of submission with the right share of
the points, how many learners have it, and how many of their grades are right; every other grade is listed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from nnopt_lab.workbench.cores import usable_cores
from tests.grading import term


def grade(system: str, learners: list[term.Learner], folder: Path, jobs: int) -> list[float]:
    """Grade both rounds of an assignment; returns the seconds of each."""
    options, seconds = term.options(system, folder, learners), []
    for round in (0, 1):
        path = term.download(system, learners, round, folder)
        command = [sys.executable, "-m", "nnopt_lab", "grade", path, *options, "--jobs", jobs]
        started = time.perf_counter()
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        seconds.append(time.perf_counter() - started)
        if ended.returncode:
            sys.exit(ended.stderr)
    return seconds


def main() -> None:
    """Print the times, the table of kinds and the faults."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("learners", nargs="?", type=int, default=500)
    options.add_argument("--jobs", type=int, default=usable_cores())
    options.add_argument("--folder", type=Path, help="kept; by default a temporary one")
    given = options.parse_args()
    learners = term.people(given.learners)
    kinds = Counter(learner.kind for learner in learners)
    right: dict[str, Counter] = defaultdict(Counter)
    faults = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for system, lesson in term.ASSIGNMENTS.items():
            seconds = grade(system, learners, folder, given.jobs)
            files = [sum(1 for _ in term.files(system, learners, round)) for round in (0, 1)]
            print(
                f"{system}, {lesson}: {files[0]} files in {seconds[0]:.0f} s, then {files[1]} in {seconds[1]:.0f} s",
                flush=True,
            )
            rows = term.rows(folder / f"grades-{system}")
            wrong = term.wrong(system, learners, rows)
            faults += wrong
            for name, learner in term.named(system, learners).items():
                right[system][learner.kind] += not any(line.startswith(f"{system}, {name}, ") for line in wrong)
    print(f"\n{'submission':26}{'answers':9}{'share':>6}  {'state':10}{'learners':>8}  right in " + ", ".join(right))
    for name, kind in term.KINDS.items():
        counts = " ".join(f"{right[system][name]:>6}" for system in right)
        print(f"{name:26}{kind.counts:9}{kind.share:>6.0%}  {kind.state:10}{kinds[name]:>8}  {counts}")
    total = sum(sum(counts.values()) for counts in right.values())
    print(f"\n{total} of {len(right) * len(learners)} grades are right")
    print(*faults, sep="\n")


if __name__ == "__main__":
    main()
