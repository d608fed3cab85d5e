"""Parameter pruning: score weights, sort them into levels, and drop the lowest level until few enough are left.

The article's section 3.1.1. Available here:

- `scores`: importance by norm, ranks, levels;
- `masks`: masks for one weight, unstructured and n:m;
- `unstructured`: masks on a whole model, and making them permanent;
- `gradual`: pruning in steps, the cubic schedule;
- `layer_sensitivity`: which layers are fragile.

Other modules are imported by name: `channel_pruning` removes whole filters, along the groups of channels that
`dependency_graph` finds. It applies the rules for operators in `channel_rules`, where you can register your own,
`axis_rules`, and `attention_rules` to the labels of `channel_labels`. `size_attributes` finds the attributes that count
channels; `narrow_attention` has what replaces attention after removal.
"""

from nnopt_lab.techniques.pruning.gradual import cubic_sparsity, prune_in_levels
from nnopt_lab.techniques.pruning.layer_sensitivity import sensitivity
from nnopt_lab.techniques.pruning.masks import magnitude_mask, n_m_mask
from nnopt_lab.techniques.pruning.scores import importance, levels, ranks
from nnopt_lab.techniques.pruning.unstructured import (
    PRUNABLE,
    count_weights,
    magnitude_prune,
    make_permanent,
    prunable,
    prune_by_scores,
    random_prune,
    shared_places,
)

__all__ = [
    "PRUNABLE",
    "count_weights",
    "cubic_sparsity",
    "importance",
    "levels",
    "magnitude_mask",
    "magnitude_prune",
    "make_permanent",
    "n_m_mask",
    "prunable",
    "prune_by_scores",
    "prune_in_levels",
    "random_prune",
    "ranks",
    "sensitivity",
    "shared_places",
]
