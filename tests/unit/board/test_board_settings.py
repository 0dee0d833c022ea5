"""What the board's environment may say, and what is said of all else."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewcall_worker.board.addresses import is_loopback
from crewcall_worker.board.settings import BoardSettings, Issuer, board_settings, signing_secret
from crewcall_worker.errors import BadSetting
from crewcall_worker.settings import Settings

SECRET = "x" * 32
REDIS = {"REDIS_URL": "redis://redis:6379/0"}


def read(**told: str) -> BoardSettings:
    return board_settings({**REDIS, **{f"CREWCALL_BOARD_{name}": value for name, value in told.items()}})


def test_a_secret_is_all_that_it_takes() -> None:
    assert read(JWT_SECRET=SECRET) == BoardSettings(redis=Settings(redis_url="redis://redis:6379/0"), secret=SECRET)


def test_everything_can_be_told(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")

    found = read(
        JWT_SECRET_FILE=str(file),
        AUDIENCE="board",
        ROLES_CLAIM="realm_access.roles",
        HOST="0.0.0.0",
        PORT="80",
        LISTENER="7",
        PREFIX="/crew/call/",
        READ_ONLY="true",
        REDACT="phone, card.number",
        SESSION_HOURS="1",
        TICKET="t" * 32,
        TRUSTED_PROXIES="10.0.0.0/8,::1",
    )

    assert found == BoardSettings(
        redis=Settings(redis_url="redis://redis:6379/0"),
        secret=SECRET,
        audience="board",
        roles_claim="realm_access.roles",
        host="0.0.0.0",
        port=80,
        listener=7,
        prefix="/crew/call",
        is_read_only=True,
        redact=("phone", "card.number"),
        session_hours=1,
        ticket="t" * 32,
        trusted_proxies=("10.0.0.0/8", "::1/128"),
    )


def test_an_issuer_stands_in_for_the_secret() -> None:
    found = read(ISSUER="https://id.test", AUDIENCE="board", JWKS_URL="https://id.test/keys")

    assert (found.secret, found.issuer) == ("", Issuer("https://id.test", "board", "https://id.test/keys"))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "CREWCALL_BOARD_JWT_SECRET is not set; without it nobody could log in. Make one with"),
        ({"JWT_SECRET": "short"}, r"JWT_SECRET is '\(not shown\)'; it has 5 bytes; write 32 or more"),
        ({"JWT_SECRET": SECRET, "JWT_SECRET_FILE": "/x"}, "JWT_SECRET_FILE is '/x'; and CREWCALL_BOARD_JWT_SECRET"),
        ({"JWT_SECRET_FILE": "/nowhere"}, "JWT_SECRET_FILE is '/nowhere'; it cannot be read"),
        ({"JWT_SECRET_FILE": "/dev/null"}, "that file is empty"),
        ({"JWT_SECRET": SECRET, "ISSUER": "https://id.test", "AUDIENCE": "b"}, "Remove one of the two"),
        ({"ISSUER": "https://id.test"}, "CREWCALL_BOARD_AUDIENCE is not set; write for whom"),
        (
            {"ISSUER": "http://id.test", "AUDIENCE": "b"},
            "ISSUER is 'http://id.test'; write a URL that begins with https",
        ),
        ({"ISSUER": "https://", "AUDIENCE": "b"}, "write a URL"),
        ({"ISSUER": "https://[", "AUDIENCE": "b"}, "write a URL"),
        ({"ISSUER": "https://id.test", "AUDIENCE": "b", "JWKS_URL": "file:///etc"}, "JWKS_URL is 'file:///etc'"),
        ({"JWKS_URL": "https://id.test"}, "CREWCALL_BOARD_ISSUER is not set; name the issuer"),
        ({"HOST": "board.test"}, "HOST is 'board.test'; write an address"),
        ({"PORT": "65536"}, "PORT is '65536'; write a whole number from 0 to 65535"),
        ({"PREFIX": "crew"}, "PREFIX is 'crew'; write a path such as /crewcall"),
        ({"PREFIX": "/a/../b"}, "PREFIX is '/a/../b'"),
        ({"PREFIX": "//evil.test"}, "PREFIX is '//evil.test'"),
        ({"PREFIX": "/admin"}, "PREFIX is '/admin'; write a path that begins with neither /admin nor /api"),
        ({"PREFIX": "/api/board"}, "neither /admin nor /api"),
        ({"READ_ONLY": "perhaps"}, "READ_ONLY is 'perhaps'; write true or false"),
        ({"REDACT": "a..b"}, r"REDACT is 'a\.\.b'; write names or paths"),
        ({"SESSION_HOURS": "0"}, "SESSION_HOURS is '0'; write a whole number from 1 to 168"),
        ({"TICKET": "short"}, r"TICKET is '\(not shown\)'; write 32 or more"),
        ({"TICKET": "?" * 40}, r"TICKET is '\(not shown\)'"),
        ({"TRUSTED_PROXIES": "proxy"}, "TRUSTED_PROXIES is 'proxy'; write addresses or networks"),
    ],
)
def test_what_cannot_be_is_told_with_the_way_out(told: dict[str, str], words: str) -> None:
    own_door = {"JWT_SECRET", "JWT_SECRET_FILE", "ISSUER", "JWKS_URL"} & told.keys() or not told
    with pytest.raises(BadSetting, match=words):
        read(**({} if own_door else {"JWT_SECRET": SECRET}) | told)


def test_no_secret_shows_in_what_is_printed_of_the_settings() -> None:
    assert SECRET not in repr(read(JWT_SECRET=SECRET, TICKET="t" * 40))
    assert "t" * 40 not in repr(read(JWT_SECRET=SECRET, TICKET="t" * 40))


def test_another_secret_or_issuer_is_another_board() -> None:
    found = {
        read(JWT_SECRET=SECRET).fingerprint,
        read(JWT_SECRET="y" * 32).fingerprint,
        read(JWT_SECRET=SECRET, AUDIENCE="b").fingerprint,
        read(ISSUER="https://id.test", AUDIENCE="b").fingerprint,
    }

    assert len(found) == 4


def test_a_token_is_issued_with_the_boards_own_secret_alone() -> None:
    with pytest.raises(BadSetting, match="CREWCALL_BOARD_JWT_SECRET is not set; set it to the board's own"):
        signing_secret({})


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("a.localhost", True),
        ("::", False),
        ("0.0.0.0", False),
        ("127.0.0.1.evil.test", False),
        ("", False),
    ],
)
def test_what_is_this_machine_alone(host: str, is_own: bool) -> None:
    assert is_loopback(host) is is_own
