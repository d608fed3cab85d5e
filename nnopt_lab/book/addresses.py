"""Links that open a lesson in Colab or Binder, from the project's address in pyproject.toml."""

import re
import tomllib
from importlib import metadata

from nnopt_lab.workbench.paths import root

BRANCH = "main"
REPOSITORY = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def project_urls() -> dict[str, str]:
    """`[project.urls]` of pyproject.toml in a clone, or of the installed package; {} if none are given."""
    file = root() / "pyproject.toml"
    if file.is_file():
        return tomllib.loads(file.read_text(encoding="utf-8"))["project"].get("urls", {})
    try:
        given = metadata.metadata("nnopt-lab").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return {}
    return dict(re.split(r"\s*,\s*", line, maxsplit=1) for line in given)


def repository(urls: dict[str, str]) -> str | None:
    """The first address that is a GitHub repository, as "owner/name"; None if there is none."""
    return next((found[1] for url in urls.values() if (found := REPOSITORY.fullmatch(url))), None)


def lesson_links(lesson: str, urls: dict[str, str]) -> str:
    """Markdown with the links that open a lesson elsewhere; "" without a repository.

    Args:
        lesson: its name, such as "01_pruning".
        urls: of `project_urls`.
    """
    name = repository(urls)
    if name is None:
        return ""
    notebook = f"notebooks/{lesson}.ipynb"
    colab = f"https://colab.research.google.com/github/{name}/blob/{BRANCH}/{notebook}"
    binder = f"https://mybinder.org/v2/gh/{name}/{BRANCH}?labpath={notebook}"
    return (
        f"[Open in Colab]({colab}) · [Open in Binder]({binder})\n\n"
        f"Binder has the course installed. In Colab, first run `%pip install git+https://github.com/{name}`.\n"
    )
