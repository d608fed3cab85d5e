"""The progress bar of everything that takes longer than two seconds."""

import os

from tqdm.auto import tqdm


def progress_bar(*args, **kwargs) -> tqdm:
    """A tqdm bar that goes when it is done; `$TQDM_DISABLE` turns it off, in a notebook's kernel too.

    tqdm's own notebook bar does not look at the variable, and stored notebooks would keep the bar's remains.
    """
    return tqdm(*args, leave=False, smoothing=0, disable=bool(os.environ.get("TQDM_DISABLE")), **kwargs)
