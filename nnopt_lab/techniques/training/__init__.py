"""Learning rates and batches (article, section 3.2).

Learning rates: `schedules`, `lr_range_test`, `linear_svm` (Pegasos on a convex problem). Batches: `batch_samplers`
(varying sizes), `accumulation`, `cropping`, `batch_size_sweep` (the fastest size), `noise_scale` (the size beyond
which the gradient hardly improves).
"""
