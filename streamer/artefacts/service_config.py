"""Configure Prometheus and Grafana: scrape targets, Alertmanager, data sources and the dashboards' folder.

Host names are those of the services in docker-compose.yml.
"""

from collections.abc import Mapping
from typing import Any, Final

from streamer.artefacts.pipeline_alerts import SERVER_JOB, WORKER_JOB
from streamer.artefacts.prometheus_rules import EVALUATION_INTERVAL

Document = Mapping[str, Any]

SCRAPE_INTERVAL: Final = "10s"
"""Windows move in steps of 10 s: scraping more often would show nothing new."""
WORKER_PORT: Final = 9101
TOKEN_FILE: Final = "/run/secrets/streamer_metrics_token"
DATASOURCE_UID: Final = "streamer-prometheus"
RULE_FILES: Final = ("recording.yml", "alerts.yml")

PROMETHEUS: Final[Document] = {
    "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": EVALUATION_INTERVAL},
    "rule_files": [*RULE_FILES],
    "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
    "scrape_configs": [
        {
            "job_name": SERVER_JOB,
            "authorization": {"credentials_file": TOKEN_FILE},
            "static_configs": [{"targets": ["serve:8080"]}],
        },
        {
            "job_name": WORKER_JOB,
            "dns_sd_configs": [{"names": ["worker"], "type": "A", "port": WORKER_PORT}],
        },
    ],
}

DATASOURCES: Final[Document] = {
    "apiVersion": 1,
    "datasources": [
        {
            "name": "Prometheus",
            "uid": DATASOURCE_UID,
            "type": "prometheus",
            "access": "proxy",
            "url": "http://prometheus:9090",
            "isDefault": True,
            "editable": False,
            "jsonData": {
                "httpMethod": "POST",
                "prometheusType": "Prometheus",
                "timeInterval": SCRAPE_INTERVAL,
            },
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

DASHBOARD_PROVIDERS: Final[Document] = {
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
