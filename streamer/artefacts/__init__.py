"""Generate dashboards, Prometheus and Alertmanager rules and the README's metric table from the catalogue."""
