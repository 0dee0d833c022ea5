"""Mail: digests, rendered as text and HTML, sent by SMTP."""
