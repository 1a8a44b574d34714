"""Rows of delimited text: a stray quotation mark costs one line, not the rest of the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_FIELD = 16 << 20


@dataclass(frozen=True, slots=True)
class Malformed:
    """A row that could not be read: why, and what stood there."""

    fault: str
    raw: str


def rows(text: str, delimiter: str) -> Iterator[list[str] | Malformed]:
    """The fields of each row that is not blank.

    After a row that is malformed, reading goes on at the line that follows its first one. An
    unclosed quotation mark would otherwise take every row up to the next one for a single field.
    """
    csv.field_size_limit(_MAX_FIELD)
    lines = list(io.StringIO(text, newline=""))  # ends of lines: CR, LF and CRLF, nothing else
    start = 0
    while start < len(lines):
        left = (lines[i] for i in range(start, len(lines)))
        reader = csv.reader(left, delimiter=delimiter, strict=True)
        read = 0  # lines that became rows
        try:
            for fields in reader:
                read = reader.line_num
                if fields:
                    yield fields
            return
        except csv.Error:
            yield Malformed("malformed row", lines[start + read].rstrip("\r\n"))
            start += read + 1
