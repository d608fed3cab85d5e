"""The experiments whose results the lessons ship because they take minutes: see `nnopt_lab.course.recordings`.

One module a lesson; each experiment is a function without arguments → a dict that JSON can hold.
"""

from nnopt_lab.course.experiments.pruning import pruning_sweep

EXPERIMENTS = {
    "pruning_sweep": pruning_sweep,
}
