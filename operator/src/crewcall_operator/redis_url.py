"""The option `--redis`, which takes what `spec.redis.url` takes, and says so of what it refuses."""

from __future__ import annotations

import re

import click

from crewcall_worker.redis_address import URL_FORM


def check_redis_url(url: str) -> None:
    """Raises `click.BadParameter` where that is none of a Redis; it shows the URL without what may be a password."""
    from crewcall_operator.api.schema import REDIS_URL  # with all its packages, which `--help` needs not

    if re.match(REDIS_URL, url):
        return
    place, mark, options = url.partition("?")
    taken = ' Behind a "?" it takes db, ssl_cert_reqs and ssl_check_hostname.' if re.match(REDIS_URL, place) else ""
    _, at, place = place.rpartition("@")
    # An "@" behind a "?": either may be in the password.
    shown = "..." if "@" in options else f"{'...@' if at else ''}{place}{'?...' if mark else ''}"
    raise click.BadParameter(f'"{shown}" is no URL of a Redis. Write {URL_FORM}.{taken}', param_hint="--redis")
