"""Cheaper convolutions (article, section 3.1.2).

`blocks` replaces k×k convolutions, `low_rank` factorises trained layers, `folding` folds batch norms into convolutions,
`spectra` finds singular values, and `cost_model` predicts a layer's time.
"""
