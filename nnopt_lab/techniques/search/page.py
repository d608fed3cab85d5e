"""A search's report as an HTML page: self-contained, light or dark as the reader's system."""

import html
import re
from collections.abc import Iterable
from pathlib import Path

from nnopt_lab.techniques.search.front_picture import front_picture
from nnopt_lab.techniques.search.report import Report, Section, markdown
from nnopt_lab.workbench.language import _, spoken_language, translated_sentences

# Nothing is fetched, whatever a name in the report contains.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(report: Report) -> str:
    """The page: what the network gains, the front to click on, the tables, and how to run the files."""
    search, style, script = report.search, _text("page.css"), _text("page.js")
    remarks = _list(map(translated_sentences, search.remarks))
    parts = [
        f"<h1>{_with_code(_('Report of `nnopt optimize`'))}</h1>",
        f"<p>{html.escape(report.headline)}</p>",
        *(f'<p class="warning">{html.escape(sentence)}</p>' for sentence in report.seen.losses()),
        _cards(report),
        _heading(_("Techniques")),
        _list(report.techniques),
        *(f'<p class="quiet">{_with_code(sentence)}</p>' for sentence in report.measured),
        _heading(_("Trials")),
        front_picture(report),
        *(_section(section) for section in report.sections),
        _section(report.front),
        f"<p>{html.escape(report.trials)}</p>{remarks}",
        _heading(_("Files")),
        _list(f"`{name}`: {size}" for name, size in report.files),
        *(f"<p>{_with_code(sentence)}</p>" for sentence in report.loading),
        f"<details><summary>{_('This report as text')}</summary><pre>{html.escape(markdown(report))}</pre></details>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="' + spoken_language() + '"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{_('Report of `nnopt optimize`').replace('`', '')}</title><style>\n{style}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<script>\n{script}</script></body></html>\n"
    )


def _cards(report: Report) -> str:
    titles = {"time": _("time"), "file": _("file"), "accuracy": _("accuracy, points")}
    cards = "".join(
        f'<div class="card"><span>{titles[name]}</span><strong>{figure}</strong><span>{behind}</span></div>'
        for name, (figure, behind) in report.gains.items()
    )
    return f'<div class="cards">{cards}</div>'


def _section(section: Section) -> str:
    notes = "".join(f'<p class="quiet">{html.escape(note)}</p>' for note in section.notes)
    return f"{_heading(section.title)}{_table(section)}{notes}"


def _table(section: Section) -> str:
    header, *body = section.rows
    head = "".join(f'<th scope="col">{_cell(cell)}</th>' for cell in header)
    rows = "".join(
        f'<tr><th scope="row">{_cell(name)}</th>'
        + "".join(f"<td{_changed(cell)}>{_cell(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in body
    )
    label = html.escape(section.title)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _changed(cell: str) -> str:
    return ' class="changed"' if " → " in cell else ""


def _cell(cell: str) -> str:
    first, *others = html.escape(cell).split("\n")
    return first + "".join(f"<small>{line}</small>" for line in others)


def _heading(title: str) -> str:
    return f"<h2>{html.escape(title)}</h2>"


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{_with_code(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _with_code(sentence: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(sentence))


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
