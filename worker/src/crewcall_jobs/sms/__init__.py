"""Text messages, through a provider's HTTP API."""
