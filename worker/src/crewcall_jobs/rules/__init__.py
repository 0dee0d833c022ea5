"""Rules: a page, what to look for in it, and whom to tell when that changes."""
