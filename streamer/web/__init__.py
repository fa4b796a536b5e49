"""Who looks: the HTTP server with its API, metrics and pages."""
