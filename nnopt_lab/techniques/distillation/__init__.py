"""Knowledge distillation: a small network learns from a large one's outputs, not just from the labels.

The article's section 3.3.2: pre-train a large model, train the small one from it, use the small one for inference. The
loop is `training.fit`; distillation only needs a loss and a loader. Available here:

- `losses`: compare logits at a temperature;
- `features`: compare the outputs of hidden layers (hints, attention maps);
- `live_teacher`: batches for which the teacher runs every time;
- `cached_teacher`: batches for which the teacher runs once.
"""

from nnopt_lab.techniques.distillation.cached_teacher import cached_logits, cached_teacher_loader, views
from nnopt_lab.techniques.distillation.features import Watch, attention_map, attention_transfer, hint
from nnopt_lab.techniques.distillation.live_teacher import WithTeacher
from nnopt_lab.techniques.distillation.losses import (
    Loss,
    decoupled,
    decoupled_loss,
    distillation_loss,
    soft_loss,
    soft_targets,
)

__all__ = [
    "Loss",
    "Watch",
    "WithTeacher",
    "attention_map",
    "attention_transfer",
    "cached_logits",
    "cached_teacher_loader",
    "decoupled",
    "decoupled_loss",
    "distillation_loss",
    "hint",
    "soft_loss",
    "soft_targets",
    "views",
]
