"""The HTTP server: API, metrics, event stream, webhooks and pages."""
