"""Fetching from, and sending to, addresses that customers name."""
