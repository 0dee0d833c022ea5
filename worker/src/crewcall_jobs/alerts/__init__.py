"""Alerts: told to each of their channels, by mail, webhook and text message."""
