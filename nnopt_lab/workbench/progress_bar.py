"""The progress bar for everything that takes longer than two seconds."""

import os

from tqdm.auto import tqdm


def progress_bar(*args, **kwargs) -> tqdm:
    """A tqdm bar that disappears when done; `$TQDM_DISABLE` turns it off, in a notebook's kernel too.

    tqdm's own notebook bar ignores the variable, and stored notebooks would keep remains of the bar.
    """
    return tqdm(*args, leave=False, smoothing=0, disable=bool(os.environ.get("TQDM_DISABLE")), **kwargs)
