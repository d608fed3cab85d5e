"""Pages of the library's reference: one per module of the techniques and the workbench, from its docstrings."""

import importlib.util
import pkgutil
from dataclasses import dataclass, field

TECHNIQUES, WORKBENCH = "nnopt_lab.techniques", "nnopt_lab.workbench"


@dataclass(frozen=True)
class Module:
    """A module or package of the library, with the modules inside it."""

    name: str
    inside: list["Module"] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its own name in words: "Channel pruning"."""
        return self.name.rpartition(".")[2].replace("_", " ").capitalize()


def modules(package: str) -> list[Module]:
    """The public modules directly inside a package, each with those inside it; packages first, then by name."""
    spec = importlib.util.find_spec(package)
    found = sorted(pkgutil.iter_modules(spec.submodule_search_locations), key=lambda m: (not m.ispkg, m.name))
    return [
        Module(name := f"{package}.{entry.name}", modules(name) if entry.ispkg else [])
        for entry in found
        if not entry.name.startswith("_")
    ]


def pages(found: list[Module]) -> dict[str, str]:
    """The pages of modules and of those inside them: {file name without ending: Markdown}."""
    made = {}
    for module in found:
        made[module.name] = _page(module)
        made |= pages(module.inside)
    return made


def contents(found: list[Module], caption: str) -> str:
    """A table of contents with the modules' pages, for the start page."""
    return toctree([f"{module.title} <library/{module.name}>" for module in found], ":hidden:", f":caption: {caption}")


def toctree(entries: list[str], *options: str) -> str:
    """A table of contents in MyST Markdown."""
    return "\n".join(["```{toctree}", *options, "", *entries, "```"])


def _page(module: Module) -> str:
    inside = [f"{part.title} <{part.name}>" for part in module.inside]
    # The names that a package takes from its modules are described once, on their pages.
    members = [] if module.inside else ["   :members:", "   :ignore-module-all:", "   :show-inheritance:"]
    reference = ["```{eval-rst}", f".. automodule:: {module.name}", *members, "```"]
    tree = ["", "## Modules", "", toctree(inside, ":maxdepth: 1")] if inside else []
    return "\n".join([f"# {module.title}", "", f"`{module.name}`", "", *reference, *tree, ""])
