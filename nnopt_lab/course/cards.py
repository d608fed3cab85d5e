"""Cards, the course's feedback to a learner: HTML in a notebook, plain text elsewhere."""

import html
import re
from dataclasses import dataclass

# One accent per mood; text and background use JupyterLab's variables, so cards fit its light and dark themes.
_ACCENTS = {"good": "#009e73", "bad": "#d55e00", "neutral": "#0072b2", "quiet": "#999999"}
_MARKS = {"good": "✔", "bad": "✘", "neutral": "▸", "quiet": "○"}


@dataclass(frozen=True)
class Card:
    """A title and lines of text; shown when it is the last expression of a notebook cell.

    Attributes:
        title: one short line.
        mood: "good", "bad", "neutral" or "quiet".
        lines: paragraphs; a (label, text) pair is shown as a labelled block of code.
    """

    title: str
    mood: str = "neutral"
    lines: tuple[str | tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        body = [f"  {line}" if isinstance(line, str) else _plain_block(*line) for line in self.lines]
        return "\n".join([f"{_MARKS[self.mood]} {self.title}", *body])

    def _repr_html_(self) -> str:
        body = "".join(_paragraph(line) if isinstance(line, str) else _block(*line) for line in self.lines)
        return (
            f'<div style="border-left:4px solid {_ACCENTS[self.mood]};padding:6px 14px;margin:4px 0;max-width:56em;'
            'background:var(--jp-layout-color1,#fff);color:var(--jp-ui-font-color1,#222);line-height:1.45">'
            f'<div style="font-weight:600"><span style="color:{_ACCENTS[self.mood]}">{_MARKS[self.mood]}</span> '
            f"{inline(self.title)}</div>{body}</div>"
        )


def inline(text: str) -> str:
    """Escape text for HTML, and format `code` and *emphasis*."""
    parts = html.escape(text).split("`")
    if len(parts) % 2 == 0:
        return html.escape(text)
    return "".join(f"<code>{part}</code>" if i % 2 else _emphasised(part) for i, part in enumerate(parts))


def _emphasised(text: str) -> str:
    # Only around whole words, because a product such as a * b, or 2**n, is not emphasis.
    return re.sub(r"(?<![\w*])\*(\w[\w ]*)(?<! )\*(?![\w*])", r"<em>\1</em>", text)


def _paragraph(text: str) -> str:
    return f'<div style="margin-top:4px">{inline(text)}</div>'


def _block(label: str, text: str) -> str:
    return (
        f'<div style="margin-top:6px;font-size:85%;color:var(--jp-ui-font-color2,#666)">{html.escape(label)}</div>'
        '<pre style="margin:0;padding:4px 8px;background:var(--jp-layout-color2,#f4f4f4);'
        f'color:var(--jp-ui-font-color1,#222);max-height:14em;overflow:auto">{html.escape(text)}</pre>'
    )


def _plain_block(label: str, text: str) -> str:
    return f"  {label}:\n" + "\n".join(f"    {line}" for line in text.splitlines())
