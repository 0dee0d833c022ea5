"""Which tokens let in, and as whom: by a secret, and by an issuer on the loopback."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.clock import Clock
from tests.support.issuers import Issuer, an_issuer

from crewcall_worker.board import settings
from crewcall_worker.board.people import Person, Role
from crewcall_worker.board.tokens import ASK_AGAIN_AFTER, IssuerSilent, IssuerTokens, SecretTokens, TokenRefused, issue

DAY = 86_400.0
SECRET = "a secret of tests" * 5
OTHER = "a secret of others" * 5


def signed(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    told = {"sub": "jane", "exp": time.time() + DAY, "roles": ["viewer"], **claims}
    return jwt.encode({name: value for name, value in told.items() if value is not None}, secret, algorithm=algorithm)


def refusal(token: str, tokens: SecretTokens | IssuerTokens | None = None) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        (tokens or SecretTokens(SECRET)).person(token)
    return caught.value


def test_an_issued_token_lets_in_for_its_time() -> None:
    person = SecretTokens(SECRET).person(issue(SECRET, "jane", Role.OPERATOR, 600))

    assert (person.subject, person.role, person.may_act) == ("jane", Role.OPERATOR, True)
    assert 598 < person.until - time.time() <= 600


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("roles", {"roles": ["viewer"]}, Role.VIEWER),
        ("roles", {"roles": "operator"}, Role.OPERATOR),
        ("roles", {"roles": ["other", "viewer", "operator"]}, Role.OPERATOR),
        ("realm_access.roles", {"realm_access": {"roles": ["operator"]}}, Role.OPERATOR),
        ("https://board.test/roles", {"https://board.test/roles": ["viewer"]}, Role.VIEWER),
    ],
)
def test_the_role_is_in_the_claim_that_is_told(claim: str, claims: dict[str, Any], role: Role) -> None:
    assert SecretTokens(SECRET, roles_claim=claim).person(signed(**{"roles": None, **claims})).role is role


@pytest.mark.parametrize("claim", ["roles", "realm_access.roles", "https://board.test/roles"])
def test_an_issued_token_has_its_role_where_the_board_looks_for_it(claim: str) -> None:
    token = issue(SECRET, "jane", Role.VIEWER, 60, roles_claim=claim, audience="board")

    assert SecretTokens(SECRET, "board", claim).person(token).role is Role.VIEWER


@pytest.mark.parametrize("roles", [None, [], ["admin"], "operators", {"operator": True}, 1, [["operator"]]])
def test_without_a_role_of_the_board_nobody_gets_in(roles: Any) -> None:
    found = refusal(signed(roles=roles))

    assert (str(found), found.is_forged) == (
        "its claim 'roles' has no role of the board; expected viewer or operator",
        False,
    )


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def unsigned(algorithm: str) -> str:
    """A token that says of itself how it is to be checked, with no signature."""
    claims = {"sub": "eve", "exp": time.time() + 600, "roles": ["operator"]}
    return f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(claims)}."


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "é",
        "x" * 20_000,
        unsigned("none"),
        unsigned("None"),
        unsigned("HS256"),
        signed(OTHER),
        signed(algorithm="HS384"),
        signed(algorithm="HS512"),
        signed()[:-4] + "AAAA",
        signed(nbf=time.time() + DAY),
        signed(exp=None),
        signed(exp="soon"),
        signed(sub=None),
    ],
)
def test_a_forged_token_is_told_nothing_of_why(token: str) -> None:
    found = refusal(token)

    assert found.is_forged
    assert str(found) in {"the token is not valid here", "this is no token"}


def test_an_expired_token_is_no_guess() -> None:
    found = refusal(signed(exp=time.time() - 60))

    assert (str(found), found.is_forged) == ("the token has expired", False)


def test_clocks_may_differ_a_little() -> None:
    assert SecretTokens(SECRET).person(signed(exp=time.time() - 10, nbf=time.time() + 10)).subject == "jane"


@pytest.mark.parametrize("subject", ["", " jane", "jane\n", "a\x1b[31m", "x" * 201, "a\u202eb"])
def test_a_subject_that_could_not_be_told_in_a_log_is_none(subject: str) -> None:
    assert "its subject is none" in str(refusal(signed(sub=subject)))
    with pytest.raises(ValueError, match="expected 1 to 200 printable characters"):
        issue(SECRET, subject, Role.VIEWER, 60)


def test_a_token_for_the_audience_lets_in_and_one_without_does_not() -> None:
    tokens = SecretTokens(SECRET, "board")

    assert tokens.person(signed(aud=["x", "board"])).subject == "jane"
    assert refusal(signed(), tokens).is_forged
    assert refusal(signed(aud="another application"), tokens).is_forged


@pytest.mark.parametrize("exp", [10**400, 2**60, 1e300, -(10**400)])
def test_a_token_for_longer_than_any_clock_can_tell_lets_nobody_in(exp: float) -> None:
    assert isinstance(refusal(signed(exp=exp)), TokenRefused)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with an_issuer() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def tokens(issuer: Issuer, clock: Clock) -> IssuerTokens:
    issuer.is_broken = issuer.is_no_http = False
    issuer.claims_to_be, issuer.keys_at = issuer.url, f"{issuer.url}/keys"
    issuer.asked.clear()
    return IssuerTokens(settings.Issuer(issuer.url, "board"), steady=clock)


def test_an_issuers_token_lets_in(issuer: Issuer, tokens: IssuerTokens) -> None:
    person = tokens.person(issuer.token(exp=2_000_000_000))

    assert person == Person("jane", Role.OPERATOR, 2_000_000_000.0)


def test_the_keys_are_found_by_discovery_and_kept(issuer: Issuer, tokens: IssuerTokens) -> None:
    for _ in range(3):
        tokens.person(issuer.token())

    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_a_key_that_is_new_is_asked_for(issuer: Issuer, clock: Clock) -> None:
    tokens = IssuerTokens(settings.Issuer(issuer.url, "board", f"{issuer.url}/keys"), steady=clock)
    issuer.add_curve("curve")

    assert tokens.person(issuer.token("curve", "ES256")).subject == "jane"


def test_keys_that_nobody_has_are_not_asked_for_time_and_again(issuer: Issuer, tokens: IssuerTokens) -> None:
    key = issuer.keys["first"]
    for number in range(5):
        assert refusal(issuer.token(f"unknown-{number}", key=key), tokens).is_forged

    assert issuer.asked.count("/keys") <= 2


def test_the_issuers_public_key_is_no_secret_to_sign_with(issuer: Issuer, tokens: IssuerTokens) -> None:
    public = issuer.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {"iss": issuer.url, "aud": "board", "sub": "eve", "exp": time.time() + 60, "roles": ["operator"]}
    # By hand, for the library would not do it.
    said = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(claims)}"
    signature = base64.urlsafe_b64encode(hmac.digest(public, said.encode(), "sha256")).decode().rstrip("=")
    forged = f"{said}.{signature}"

    assert refusal(forged, tokens).is_forged


@pytest.mark.parametrize("claims", [{"iss": "https://evil.test"}, {"aud": "other"}, {"aud": None}, {"exp": 1}])
def test_another_issuers_or_another_applications_token_does_not(
    issuer: Issuer, tokens: IssuerTokens, claims: dict[str, Any]
) -> None:
    refusal(issuer.token(**claims), tokens)


def test_a_token_that_names_no_key_does_not(issuer: Issuer, tokens: IssuerTokens) -> None:
    bare = jwt.encode({"sub": "eve"}, issuer.keys["first"], algorithm="RS256")

    assert str(refusal(bare, tokens)) == "the token names no key of the issuer"
    assert refusal(unsigned("none"), tokens).is_forged


def test_an_issuer_that_does_not_answer_is_left_alone_for_a_while(
    issuer: Issuer, tokens: IssuerTokens, clock: Clock
) -> None:
    issuer.is_broken = True
    for _ in range(3):
        with pytest.raises(IssuerSilent):
            tokens.person(issuer.token())
    assert len(issuer.asked) == 1

    issuer.is_broken = False
    clock.now += ASK_AGAIN_AFTER
    assert tokens.person(issuer.token()).subject == "jane"


def test_whatever_answers_in_the_issuers_place_without_http_is_none(issuer: Issuer, tokens: IssuerTokens) -> None:
    issuer.is_no_http = True

    with pytest.raises(IssuerSilent):
        tokens.person(issuer.token())


def test_a_discovery_of_another_issuer_is_not_believed(issuer: Issuer, tokens: IssuerTokens) -> None:
    issuer.claims_to_be = "https://evil.test"

    with pytest.raises(IssuerSilent):
        tokens.person(issuer.token())


def test_keys_that_anybody_on_the_way_could_change_are_not_fetched(issuer: Issuer, tokens: IssuerTokens) -> None:
    issuer.keys_at = "http://keys.test/keys"

    with pytest.raises(IssuerSilent):
        tokens.person(issuer.token())
