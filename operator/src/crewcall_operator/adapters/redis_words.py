"""What is said where a Redis cannot be read or written: what is wrong, in its own words too, and the way out."""

from __future__ import annotations

import re

import redis.exceptions as failed
from redis.asyncio.sentinel import MasterNotFoundError

from crewcall_operator.adapters.redis_answers import NO_REDIS, TOO_MUCH, TooMuch

_WRONG_TYPE = '"{key}" is not as Dramatiq keeps a queue. Is the Redis namespace right, and nobody else writing there?'
_TO_READ = (
    "Grant it: +eval_ro (+eval before Redis 7) +llen +lindex +hlen +hstrlen +hget +zcard +select and the keys "
    "~<namespace>:*; for workers, lanes and delayed jobs also +hgetall +hexists +hscan +zrange +zcount +zscore +time "
    "and the keys ~crewcall:<namespace>:*"
)
_TO_WRITE = (
    "Grant it: +eval +select +time +@read +@write +publish, the keys ~<namespace>:* "
    "~crewcall:<namespace>:* and the channels &crewcall:<namespace>:*"
)

# How scripts are told so by Valkey and Redis from 7.2 on, by Redis 7.0, and by Redis 6.
_NO_PERMISSION = ("no permission", "user executing the script", "noperm")

# The name may come from a Secret (acl.c: "User %s has no permissions to run the '%s' command").
_NAMED = re.compile(r"\bUser \S+ has no permissions")

#: Characters of what somebody else has written that are repeated.
LONGEST = 200

# The first that fits explains; {error} is what Redis or the system said.
_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (failed.AuthenticationError, failed.AuthenticationWrongNumberOfArgsError),
        "it refuses the user or the password ({error}). Correct them in the pool's Redis URL.",
    ),
    ((failed.BusyLoadingError,), "it is still loading its data. Reading resumes by itself."),
    ((failed.ReadOnlyError,), "it is a replica ({error}). Name the primary in the pool's Redis URL."),
    (
        (failed.NoPermissionError,),
        "its user may not do what this takes ({error}). {grant}.",
    ),
    (
        (failed.AskError, failed.ClusterError, failed.ClusterCrossSlotError),
        "it is a Redis Cluster ({error}), on which Dramatiq does not work. Name a Redis that is not.",
    ),
    (
        (MasterNotFoundError,),
        "no Sentinel answers that there is such a primary. Is spec.redis.sentinel right, login included?",
    ),
    # Not in the words of whatever is there: it may be a service that the pool's author cannot reach himself.
    ((TooMuch,), TOO_MUCH),
    ((failed.InvalidResponse,), NO_REDIS),
    ((TimeoutError, failed.TimeoutError), "no answer within {timeout:g} s. Is it up, and may this host reach it?"),
    ((failed.ConnectionError, OSError), "no connection ({error}). Is it up, and are host, port and TLS right?"),
)


def shown(said: str) -> str:
    """What strangers have written, for people: not so long, and without what a terminal would obey."""
    cut = said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"
    return "".join(sign if sign.isprintable() else "?" for sign in cut)


def why(error: Exception, timeout: float, *, writes: bool) -> str:
    """What an error of a connection means; it had `timeout` seconds. Where it `writes`, other rights are needed."""
    error = _as_told_to_scripts(error)
    said = _anonymous(str(error))
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words.format(error=said.rstrip("."), timeout=timeout, grant=_TO_WRITE if writes else _TO_READ)
    return f"it answered: {said}"


def why_refused(key: str, said: str, *, writes: bool) -> str:
    """What Redis' words to a script that asked for `key` mean."""
    if "WRONGTYPE" in said:
        return _WRONG_TYPE.format(key=shown(key))
    error = _as_told_to_scripts(failed.ResponseError(said))
    if isinstance(error, failed.NoPermissionError):
        return why(error, 0.0, writes=writes)
    return f'asked for "{shown(key)}", it answered: {_anonymous(said)}'


def _anonymous(said: str) -> str:
    """What Redis said, without the name of a user."""
    return shown(_NAMED.sub("the user has no permissions", said))


def _as_told_to_scripts(error: Exception) -> Exception:
    """The same error, where a script was told of it, of the kind it would be had a command been."""
    said = str(error).lower()
    if isinstance(error, failed.ResponseError) and any(words in said for words in _NO_PERMISSION):
        return failed.NoPermissionError(str(error))
    if isinstance(error, failed.ResponseError) and "read only replica" in said:  # before Redis 7
        return failed.ReadOnlyError(str(error))
    return error
