"""Knowledge distillation: a small network learns from a large one's outputs, and not from the labels alone.

The article's section 3.3.2: pre-train a large model, train the small one from it, infer with the small one. The loop is
`training.fit`, as ever: distillation is a loss and a loader. Available here:

- `losses`: on the logits, at a temperature;
- `features`: on what layers inside compute (hints, attention maps);
- `live_teacher`: batches for which the teacher runs anew;
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
