"""Only the part of a document that lies between its markers is generated."""

from pathlib import Path

import pytest

from streamer.artefacts.marked_text import MarkersError, begin_marker, end_marker, replace_marked_part

BEGIN, END = begin_marker("metrics"), end_marker("metrics")


def _document(root: Path, text: str) -> Path:
    path = root / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_only_what_lies_between_the_markers_is_written(tmp_path: Path) -> None:
    path = _document(tmp_path, f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n")
    assert replace_marked_part(tmp_path, "page.md", "metrics", "new\n") == {
        path: f"# Title\n\n{BEGIN}\nnew\n{END}\n\nThe end.\n"
    }


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}\n{BEGIN}\n", f"{begin_marker('settings')}\n{END}\n"]
)
def test_a_document_without_both_markers_in_order_is_named(tmp_path: Path, text: str) -> None:
    _document(tmp_path, text)
    with pytest.raises(MarkersError, match=r"^page\.md: expected the lines <!-- metrics:begin -->"):
        replace_marked_part(tmp_path, "page.md", "metrics", "new\n")


def test_no_document_is_reported_like_no_markers(tmp_path: Path) -> None:
    with pytest.raises(MarkersError, match=r"^page\.md: expected the lines"):
        replace_marked_part(tmp_path, "page.md", "metrics", "new\n")
