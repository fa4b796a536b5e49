"""Here is who is told of alerts: kept once for all servers, sent, acknowledged, silenced."""
