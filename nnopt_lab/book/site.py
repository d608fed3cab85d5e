"""Build the book with Sphinx, MyST and the theme of Jupyter Book; nothing is executed, and nothing is fetched."""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat

from nnopt_lab.book import lessons, library, start_page
from nnopt_lab.book.addresses import lesson_links, project_urls
from nnopt_lab.course.lesson import lessons as declared_lessons
from nnopt_lab.course.server_settings import LAB_EXTENSIONS
from nnopt_lab.workbench.files import check_folder, naming
from nnopt_lab.workbench.language import ENGLISH, speaking

NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_codeautolink", "latex2mathml")
MARK = ".nnopt-book"  # a file in every book, so that a folder with anything else is never replaced
STATIC = Path(__file__).parent / "static"
FIGURES = LAB_EXTENSIONS / "nnopt-lab" / "static" / "figures.js"
SETTINGS = {
    "project": "NNOpt Lab",
    "html_title": "NNOpt Lab",
    "language": "en",
    "extensions": [
        "myst_nb",
        "sphinx.ext.autodoc",
        "sphinx.ext.napoleon",
        "sphinx.ext.viewcode",
        "sphinx_codeautolink",
        "nnopt_lab.book.docstrings",
        "nnopt_lab.book.formulas",
        "nnopt_lab.book.line_ends",
    ],
    "default_role": "py:obj",
    "autodoc_member_order": "bysource",
    "autodoc_preserve_defaults": True,
    "autodoc_typehints_format": "short",
    "add_module_names": False,
    "viewcode_follow_imported_members": False,  # every name is described in its own module
    "codeautolink_concat_default": True,  # a lesson imports in its first cell
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},  # its scripts would be fetched from another host
    "nb_merge_streams": True,
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "myst_heading_anchors": 3,
    "suppress_warnings": ["misc.highlighting_failure", "codeautolink"],  # code in prose may be abbreviated
    "html_theme": "sphinx_book_theme",
    "html_math_renderer": "mathml",
    "html_static_path": [str(STATIC), str(FIGURES)],
    "html_css_files": ["book.css"],
    "html_js_files": [(name, {"defer": "defer"}) for name in (FIGURES.name, "search.js")],
    "html_favicon": str(STATIC / "favicon.svg"),
    "html_context": {"default_mode": "auto"},
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "html_theme_options": {
        "use_download_button": False,  # it would offer the answers
        "use_fullscreen_button": False,
        "collapse_navbar": True,  # 150 modules in the navigation of every page take a minute and megabytes
        "show_toc_level": 2,
        "navbar_persistent": [],
        "footer_content_items": [],
        "pygments_light_style": "a11y-light",
        "pygments_dark_style": "a11y-dark",
    },
}


def build(folder: Path, on_page: Callable[[int, int], None] | None = None) -> list[str]:
    """Build the book in a folder, which is made, or replaced if it contains an earlier book.

    Args:
        folder: where the site goes; `index.html` in it is the start page.
        on_page: called with (steps done, all steps): each page is read and then written.

    Returns:
        The warnings of Sphinx, one text each.

    Raises:
        FileNotFoundError: a solved notebook has not been built.
        OSError: the folder can't be written.
        ValueError: the extra `book` is not installed, or the folder contains something else.
    """
    folder = Path(folder).absolute()
    _check_installed()
    _check_replaceable(folder)
    check_folder(folder.parent)  # before the work, which takes a minute
    with tempfile.TemporaryDirectory(prefix=".nnopt-book-", dir=folder.parent) as scratch:
        source, made = Path(scratch) / "source", Path(scratch) / "made"
        with speaking(ENGLISH):  # as Sphinx does, whatever the locale
            _write_sources(source)
            warnings = _run_sphinx(source, made, on_page)
        _tidy(made)
        with naming(folder):
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(made, folder)
    return warnings


def _check_installed() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"The book needs {', '.join(missing)}: pip install 'nnopt-lab[book]'.")


def _check_replaceable(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder={str(folder)!r} must be a folder, but it is a file.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ValueError(f"folder={str(folder)!r} must be new, empty or an earlier book, but it contains other files.")


def _write_sources(source: Path) -> None:
    for part in ("lessons", "library"):
        (source / part).mkdir(parents=True)
    urls, entries = project_urls(), []
    for name, lesson in declared_lessons().items():
        if not lesson.draft:
            page = lessons.page(name, lesson_links(name, urls))
            nbformat.write(page, source / "lessons" / f"{name}.ipynb")
            entries.append(f"{lesson.number:02d} {lesson.title} <lessons/{name}>")
    techniques, workbench = map(library.modules, lessons.DOCUMENTED)
    for name, text in library.pages([*techniques, *workbench]).items():
        (source / "library" / f"{name}.md").write_text(text, encoding="utf-8")
    contents = [
        library.toctree(entries, ":hidden:", ":caption: Lessons"),
        library.contents(techniques, "Techniques"),
        library.contents(workbench, "Workbench"),
    ]
    (source / "index.md").write_text(start_page.start_page(contents), encoding="utf-8")


def _run_sphinx(source: Path, made: Path, on_page: Callable[[int, int], None] | None) -> list[str]:
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # some extensions print
            app = Sphinx(source, None, made, source.parent / "doctrees", "html", SETTINGS, status=None, warning=said)
            if on_page is not None:
                _report(app, on_page)
            app.build()
    except SphinxError as error:
        raise ValueError(f"The book could not be built: {error}") from error
    plain = re.sub(r"\x1b\[[\d;]*m", "", said.getvalue()).replace(f"{source}{os.sep}", "")
    return [line for line in plain.splitlines() if line.strip()]


def _report(app, on_page: Callable[[int, int], None]) -> None:
    """Call `on_page` for each page that is read, and again when it is written."""
    pages, done = len(list(app.project.discover())), 0

    def step(*_) -> None:
        nonlocal done
        done = min(done + 1, 2 * pages)  # an index and the like are written too
        on_page(done, 2 * pages)

    app.connect("source-read", step)
    app.connect("html-page-context", step)


def _tidy(made: Path) -> None:
    """Remove what no reader's browser loads, and add what a host and the next build look for."""
    for path in (*made.rglob("*.map"), *(made / "_static").rglob("*.html")):  # the theme's own sources
        path.unlink()
    (made / ".nojekyll").touch()  # otherwise GitHub Pages would drop folders such as _static
    (made / MARK).touch()
