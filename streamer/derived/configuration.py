"""Configure Prometheus and Grafana: scrape targets, Alertmanager, data sources and the dashboards' folder.

Host names are those of the services in docker-compose.yml.
"""

from collections.abc import Mapping
from typing import Any, Final

from streamer.derived.health import SERVER, WORKER
from streamer.derived.rules import EVALUATED

Document = Mapping[str, Any]

SCRAPED: Final = "10s"
"""Windows move in steps of 10 s: scraping more often would show nothing new."""
WORKER_PORT: Final = 9101
TOKEN: Final = "/run/secrets/streamer_metrics_token"
SOURCE: Final = "streamer-prometheus"
RULES: Final = ("recording.yml", "alerts.yml")

PROMETHEUS: Final[Document] = {
    "global": {"scrape_interval": SCRAPED, "evaluation_interval": EVALUATED},
    "rule_files": [*RULES],
    "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
    "scrape_configs": [
        {
            "job_name": SERVER,
            "authorization": {"credentials_file": TOKEN},
            "static_configs": [{"targets": ["serve:8080"]}],
        },
        {
            "job_name": WORKER,
            "dns_sd_configs": [{"names": ["worker"], "type": "A", "port": WORKER_PORT}],
        },
    ],
}

SOURCES: Final[Document] = {
    "apiVersion": 1,
    "datasources": [
        {
            "name": "Prometheus",
            "uid": SOURCE,
            "type": "prometheus",
            "access": "proxy",
            "url": "http://prometheus:9090",
            "isDefault": True,
            "editable": False,
            "jsonData": {"httpMethod": "POST", "prometheusType": "Prometheus", "timeInterval": SCRAPED},
        },
        {
            "name": "Alertmanager",
            "uid": "streamer-alertmanager",
            "type": "alertmanager",
            "access": "proxy",
            "url": "http://alertmanager:9093",
            "editable": False,
            "jsonData": {"implementation": "prometheus"},
        },
    ],
}

DASHBOARDS: Final[Document] = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "streamer",
            "folder": "Contact center",
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 30,
            "options": {"path": "/etc/grafana/dashboards"},
        }
    ],
}
