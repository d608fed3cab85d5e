"""Several threads, workers and processes: the article's sections 2.4 and 4.

`amdahl` predicts the speedup, `launching` starts them, and `data_parallel` is the script that torchrun runs in each.
"""
