"""Read tables that teachers saved from spreadsheets: UTF-8 or UTF-16 text, separated by commas, semicolons or tabs."""

import codecs
import csv
import io
import re

DELIMITERS = ",;\t"
_DECLARED = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)  # Excel's own line before the titles
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MARKS = (*_UTF16, codecs.BOM_UTF8)  # at the start of a file


def decoded(data: bytes, source: str) -> str:
    """Decode a table; Excel saves “Unicode Text” as UTF-16.

    Args:
        data: contents of the file.
        source: what messages call it.

    Raises:
        ValueError: it is neither UTF-8 nor UTF-16 with a byte-order mark.
    """
    try:
        return data.decode("utf-16") if data.startswith(_UTF16) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{source} is not UTF-8 text: save it as “CSV UTF-8”.") from None


def rows(text: str, source: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Split a table into its titles and its other rows with their line numbers, without empty rows.

    Raises:
        ValueError: it can't be read as a table.
    """
    declared = _DECLARED.match(text)
    whole, text = text, text[declared.end() :] if declared else text.lstrip("\r\n")
    skipped = whole[: len(whole) - len(text)].count("\n")
    separator = declared[1] if declared else delimiter(text)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        titles = [title.strip() for title in next(reader, [])]
        found = [(reader.line_num + skipped, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(f"{source} can't be read as a table: {error}.") from None
    return titles, found


def delimiter(text: str) -> str:
    """The most frequent one in the line of titles, outside quotes."""
    first = re.sub(r'"[^"\n]*"', "", text.partition("\n")[0])
    return max(DELIMITERS, key=first.count)
