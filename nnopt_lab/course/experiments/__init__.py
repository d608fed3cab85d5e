"""The experiments whose results the lessons ship because they take minutes: see `nnopt_lab.course.recordings`.

One module a lesson; each experiment is a function without arguments → a dict that JSON can hold.
"""

from nnopt_lab.course.experiments.batch_sizes import batch_crops, batch_policies, batch_size_race
from nnopt_lab.course.experiments.choosing import autotune_resnet, autotune_search, technique_orders, time_by_part
from nnopt_lab.course.experiments.convolutions import convolution_blocks, convolution_knobs
from nnopt_lab.course.experiments.distillation import (
    distillation_compressed,
    distillation_fashion,
    distillation_methods,
    distillation_pictures,
    distillation_sizes,
    distillation_temperatures,
)
from nnopt_lab.course.experiments.hardware import training_ladder
from nnopt_lab.course.experiments.integers_by_hand import deep_compression, integer_training, post_training_bits
from nnopt_lab.course.experiments.learning_rates import first_rates, learning_rate_peaks, learning_rate_race
from nnopt_lab.course.experiments.mixed_precision import precision_shrunk, precision_training, precision_weights
from nnopt_lab.course.experiments.parallelism import accelerator, processes
from nnopt_lab.course.experiments.pruning import pruning_sweep

EXPERIMENTS = {
    "first_rates": first_rates,
    "learning_rate_peaks": learning_rate_peaks,
    "learning_rate_race": learning_rate_race,
    "pruning_sweep": pruning_sweep,
    "convolution_knobs": convolution_knobs,
    "convolution_blocks": convolution_blocks,
    "batch_size_race": batch_size_race,
    "batch_policies": batch_policies,
    "batch_crops": batch_crops,
    "deep_compression": deep_compression,
    "integer_training": integer_training,
    "post_training_bits": post_training_bits,
    "distillation_methods": distillation_methods,
    "distillation_pictures": distillation_pictures,
    "distillation_temperatures": distillation_temperatures,
    "distillation_sizes": distillation_sizes,
    "distillation_fashion": distillation_fashion,
    "distillation_compressed": distillation_compressed,
    "processes": processes,
    "accelerator": accelerator,
    "precision_training": precision_training,
    "precision_shrunk": precision_shrunk,
    "precision_weights": precision_weights,
    "training_ladder": training_ladder,
    "autotune_search": autotune_search,
    "autotune_resnet": autotune_resnet,
    "technique_orders": technique_orders,
    "time_by_part": time_by_part,
}
