"""Several threads, workers and processes (article, sections 2.4 and 4).

`amdahl` predicts the speedup, `launching` starts the processes, and `data_parallel` is the script that torchrun runs in
each.
"""
