"""Every public module of the library has a page, and every page is in the contents."""

import pytest

from nnopt_lab.book import library
from nnopt_lab.workbench.paths import PACKAGE


@pytest.mark.parametrize("package", [library.TECHNIQUES, library.WORKBENCH])
def test_every_public_module_has_a_page(package):
    folder = PACKAGE.parent.joinpath(*package.split("."))
    files = [path.relative_to(PACKAGE.parent).with_suffix("") for path in folder.rglob("*.py")]
    names = {".".join(file.parts).removesuffix(".__init__") for file in files} - {package}
    names = {name for name in names if not name.rpartition(".")[2].startswith("_")}
    assert set(library.pages(library.modules(package))) == names


def test_a_package_lists_its_modules_and_a_module_its_members():
    found = library.modules(library.TECHNIQUES)
    pruning = next(module for module in found if module.title == "Pruning")
    pages = library.pages([pruning])
    assert pages[pruning.name].startswith("# Pruning\n") and ":members:" not in pages[pruning.name]
    assert "Channel pruning <nnopt_lab.techniques.pruning.channel_pruning>" in pages[pruning.name]
    assert ":members:" in pages["nnopt_lab.techniques.pruning.scores"]


def test_the_contents_name_each_module_directly_inside():
    found = library.modules(library.TECHNIQUES)
    text = library.contents(found, "Techniques")
    assert ":caption: Techniques" in text and all(f"<library/{module.name}>" in text for module in found)
