"""Generate dashboards, Prometheus and Alertmanager rules, and references of metrics and settings."""
