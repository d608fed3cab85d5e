"""Search for the techniques that make a network smaller or faster (article, section 5.1).

`autotune` is the search as one call; `search_space` says what it may choose, `searcher` runs it, and `result` contains
what it found.
"""
