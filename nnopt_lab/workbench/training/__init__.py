"""One training loop for every lesson.

A technique changes the loop's inputs (the model, the loss, the optimizer, the schedule, the batches) or how its steps
are computed (the last options of `fit`), never the loop. Two runs with the same seed on the same machine give the same
weights, bit for bit.
"""

from nnopt_lab.workbench.training.evaluation import Evaluation, evaluate
from nnopt_lab.workbench.training.history import History
from nnopt_lab.workbench.training.loop import fit
from nnopt_lab.workbench.training.optimizers import require_trainable
from nnopt_lab.workbench.training.places import best_device, device_of
from nnopt_lab.workbench.training.seeds import reproducible
from nnopt_lab.workbench.training.steps import logits_of

__all__ = [
    "Evaluation",
    "History",
    "best_device",
    "device_of",
    "evaluate",
    "fit",
    "logits_of",
    "reproducible",
    "require_trainable",
]
