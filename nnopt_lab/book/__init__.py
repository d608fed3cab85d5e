"""The course as a web page: a static site, built from the stored solved notebooks without executing anything.

`site` builds it with Sphinx. Its sources are the start page by `start_page`, the lessons by `lessons`, and the
reference by `library` and `docstrings`; `formulas` turns LaTeX into MathML, and `addresses` finds where a lesson can be
opened. Sphinx and its theme are an extra: `pip install 'nnopt-lab[book]'`.
"""
