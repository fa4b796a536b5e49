"""Draw the derived dashboards as pictures: `python -m tests.grafana.render FOLDER`.

A simulated center runs for some minutes while Debian's Prometheus scrapes it; then Chromium draws the panels
with Grafana's own UI library (node_modules below this folder; `npm ci` fills it). No Grafana server runs, and
tables are left out, since that library has none.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from streamer.artefacts import generated_files
from streamer.settings import Settings
from tests.artefacts.expressions import filled, opened
from tests.artefacts.live_services import DemoCenter, PrometheusServer
from tests.artefacts.test_live_prometheus import ROOT, prometheus_files
from tests.parts.server import run

HERE = Path(__file__).parent
WINDOWS = ["1h"]
RATE = 8
STEP_S = 2
MINUTES = float(os.environ.get("MINUTES", "4"))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (HERE / "node_modules").exists():
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=HERE, check=True)
    subprocess.run(["npm", "run", "build", "--silent"], cwd=HERE, check=True)
    derived = generated_files.generate_files(ROOT, Settings(export_windows=WINDOWS))
    below = {
        str(path.relative_to(ROOT / "grafana")): text
        for path, text in derived.items()
        if "grafana" in str(path)
    }
    center = DemoCenter(WINDOWS, RATE)
    prometheus = PrometheusServer(prometheus_files(below), center.watched)
    try:
        run(center.start())
        run(prometheus.start())
        time.sleep(60 * MINUTES)
        for name, text in below.items():
            if name.startswith("dashboards/"):
                draw(json.loads(text), prometheus, folder / Path(name).stem)
    finally:
        run(prometheus.close())
        run(center.close())


def draw(board: dict[str, Any], prometheus: PrometheusServer, to: Path) -> None:
    end = time.time()  # noqa: TID251 - the center is live
    values = {variable["name"]: opened(variable) for variable in board["templating"]["list"]}
    start = end - 60 * MINUTES
    for panel in board["panels"]:
        panel["title"] = filled(panel["title"], values)
        panel["answers"] = [
            query_answer(target, filled(target["expr"], values), prometheus, start, end)
            for target in panel.get("targets", ())
        ]
    for mode in ("dark", "light"):
        page_data = {**board, "from": start, "to": end, "mode": mode}
        page(page_data, to.with_name(f"{to.name}-{mode}"))


def query_answer(
    target: dict[str, Any], expr: str, prometheus: PrometheusServer, start: float, end: float
) -> dict[str, Any]:
    if target["instant"]:
        series = [
            {"metric": sample["metric"], "values": [sample["value"]]} for sample in prometheus.query(expr)
        ]
    else:
        parameters = {"query": expr, "start": str(start), "end": str(end), "step": str(STEP_S)}
        series = prometheus.get("query_range", **parameters)["result"]
    legend = target.get("legendFormat", "")
    return {"refId": target["refId"], "legend": legend, "step": STEP_S, "series": series}


def page(board: dict[str, Any], to: Path) -> None:
    script = (HERE / "node_modules/.page/page.js").as_uri()
    data = json.dumps(board).replace("</", "<\\/")
    style = (HERE / "node_modules/uplot/dist/uPlot.min.css").read_text()
    html = to.with_suffix(".html")
    html.write_text(
        '<!doctype html><meta charset="utf-8">'
        f'<style>{style} body {{ font-family: sans-serif }}</style><div id="board"></div>'
        f'<script>window.BOARD = {data}</script><script src="{script}"></script>'
    )
    height = 60 + 38 * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: install Debian's package chromium"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size=1920,{height}", "--virtual-time-budget=10000", f"--screenshot={to}.png"]
    subprocess.run([*command, html.as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
