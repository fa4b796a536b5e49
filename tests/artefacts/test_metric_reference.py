"""The README's table of metrics follows from the catalogue, and nothing else of the README changes."""

import pytest

from streamer.artefacts.metric_reference import BEGIN, END, MarkersError, generate_readme, metric_table
from streamer.metrics.catalogue import CATALOGUE


def _readme(root, text):
    path = root / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_table_has_a_line_for_every_metric_in_order():
    lines = metric_table().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == list(CATALOGUE)
    assert {line.replace("\\|", "").count("|") for line in lines} == {10}


def test_the_table_says_what_the_catalogue_says():
    lines = {line.split("`")[1]: line for line in metric_table().splitlines()[2:]}
    assert (
        "| `nps_score` | 100 (promoters 9-10 − detractors 0-6) / answers | points | higher |"
        in lines["nps_score"]
    )
    assert "| `handle_time_seconds` (`mean`, `p50`, `p90`, `p95`, `max`) |" in lines["handle_time_seconds"]
    assert "| from N |" in lines["fcr_ratio"]
    assert "| from 24 h, ending N before |" in lines["fcr_final_ratio"]
    assert "| up to the horizon |" in lines["value_at_risk"]
    assert "| – |" in lines["contacts"]


def test_only_what_lies_between_the_markers_is_written(tmp_path):
    path = _readme(tmp_path, f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n")
    assert generate_readme(tmp_path) == {path: f"# Title\n\n{BEGIN}\n{metric_table()}{END}\n\nThe end.\n"}


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}\n{BEGIN}\n"])
def test_a_readme_without_both_markers_in_order_is_named(tmp_path, text):
    _readme(tmp_path, text)
    with pytest.raises(MarkersError, match=r"README\.md: expected the lines <!-- metrics:begin -->"):
        generate_readme(tmp_path)


def test_no_readme_is_said_like_no_markers(tmp_path):
    with pytest.raises(MarkersError, match=r"README\.md: expected the lines"):
        generate_readme(tmp_path)
