"""What the jobs remember: deliveries made, and what rules have seen. SQLite by default, PostgreSQL for several
workers."""
