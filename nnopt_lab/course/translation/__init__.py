"""Editions of the lessons in other languages: `solutions/zh/NN_name.po` translates `solutions/NN_name.py`."""
