"""Replace the generated part of a document, which lies between two marker lines."""

from collections.abc import Sequence
from pathlib import Path


class MarkersError(ValueError):
    """A file lacks the markers around its generated part; the text names the file and the markers."""


def begin_marker(part: str) -> str:
    return f"<!-- {part}:begin -->"


def end_marker(part: str) -> str:
    return f"<!-- {part}:end -->"


def replace_marked_part(root: Path, name: str, part: str, content: str) -> dict[Path, str]:
    """Return the text of a file with new content between the markers of a part. Raises MarkersError."""
    path, begin, end = root / name, begin_marker(part), end_marker(part)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise MarkersError(f"{name}: expected the lines {begin} and {end}, in this order")
    return {path: f"{before}{begin}\n{content}{end}{after}"}


def markdown_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table; a | in a cell is escaped.

    >>> print(markdown_table(("unit", "values"), [("ratio", "0|1")]), end="")
    | unit | values |
    | --- | --- |
    | ratio | 0\\|1 |
    """
    escaped_rows = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [columns, ("---",) * len(columns), *escaped_rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
