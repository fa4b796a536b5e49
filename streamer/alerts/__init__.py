"""Alerts: rules, their evaluation with a stated confidence, and the reasons behind each verdict."""
