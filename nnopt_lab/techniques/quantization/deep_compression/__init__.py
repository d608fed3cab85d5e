"""Deep Compression: prune, let the remaining weights share a few values, and code the result in a real file.

Source: Han, Mao & Dally 2016, "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization
and Huffman Coding", https://arxiv.org/abs/1510.00149. `nnopt_lab.techniques.pruning` prunes, and `training.fit` trains
the shared values. Available here:

- `clustering`: k-means;
- `weight_sharing`: shared values in a model, and making them permanent;
- `gaps`: positions coded as gaps;
- `file`: saving and loading.

`huffman`, the Huffman code, is imported by name.
"""

from nnopt_lab.techniques.quantization.deep_compression.clustering import kmeans
from nnopt_lab.techniques.quantization.deep_compression.file import load, save
from nnopt_lab.techniques.quantization.deep_compression.gaps import gap_symbols, kept_positions
from nnopt_lab.techniques.quantization.deep_compression.weight_sharing import (
    SharedWeight,
    make_permanent,
    share_weights,
)

__all__ = ["SharedWeight", "gap_symbols", "kept_positions", "kmeans", "load", "make_permanent", "save", "share_weights"]
