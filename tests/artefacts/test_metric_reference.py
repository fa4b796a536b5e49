"""docs/metrics.md follows from the catalogue."""

from streamer.artefacts.metric_reference import metric_table
from streamer.metrics.catalogue import CATALOGUE


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
