"""The project's README in other languages: `.github/README.LANGUAGE.md`, made from README.md and `README.po`."""

import re
from pathlib import Path

from nnopt_lab.course.translation.markdown_blocks import COMMENT, HEADING, Block, blocks, with_translations
from nnopt_lab.workbench.paths import root

README = "README"  # the name of its file of translations, beside the lessons'
_RELATIVE = re.compile(r"((?:\]\(|src=\"|srcset=\"))(?!https?:|#|mailto:)(?=[^)\s\"])")
_DESCRIPTION = re.compile(r"(?<= alt=\")[^\"]+(?=\")")  # of a picture
_EDITIONS = re.compile(r"\[[^\]]+\]\(\.github/README\.\w+\.md\)(?: · )?")
_ENGLISH = "[English](README.md)"


def readme_file(language: str) -> Path:
    """The path of the README in another language."""
    return root() / ".github" / f"README.{language}.md"


def readme_names() -> list[str]:
    """README if there is one to translate, which an installed package lacks."""
    return [README] if (root() / "README.md").is_file() else []


def readme_messages() -> dict[str, list[str]]:
    """The texts of README.md in order, each with its kinds; without the line of its editions."""
    found: dict[str, list[str]] = {}
    for block in blocks(_english()):
        if not _names_editions(block) and block.kind not in found.setdefault(block.text, []):
            found[block.text].append(block.kind)
    return found | {text: ["description"] for text in _DESCRIPTION.findall(_english())}


def readme_edition(known: dict[str, str], mark: str) -> str:
    """The README with translations, and with links that hold in its folder and under its headings.

    Args:
        known: translations by English text. A text without one stays English.
        mark: stands behind such a text.
    """

    def translated(block: Block) -> str | None:
        if _names_editions(block):
            return _ENGLISH
        if block.kind == COMMENT:
            return known.get(block.text)
        end = " |" if block.text.endswith("|") else ""
        return known.get(block.text) or f"{block.text.removesuffix(end)} {mark}{end}"

    text = _DESCRIPTION.sub(lambda found: known.get(found[0], found[0]), with_translations(_english(), translated))
    for heading in (block.text for block in blocks(_english()) if block.kind == HEADING):
        text = text.replace(f"](#{_anchor(heading)})", f"](#{_anchor(known.get(heading, heading))})")
    return _RELATIVE.sub(r"\1../", text)


def _anchor(heading: str) -> str:
    """The address that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _english() -> str:
    return (root() / "README.md").read_text(encoding="utf-8")


def _names_editions(block: Block) -> bool:
    return not _EDITIONS.sub("", block.text)
