"""An OpenID Connect issuer for tests: its discovery, its keys, and the tokens that it signs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


class Issuer:
    """Listens on the loopback. `asked` are the paths that it was asked for."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[str] = []
        self.is_broken = False
        self.is_no_http = False
        self.claims_to_be = self.url
        self.keys_at = f"{self.url}/keys"
        self.keys: dict[str, Any] = {}
        self.add_rsa("first")

    def add_rsa(self, kid: str) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def add_curve(self, kid: str) -> None:
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())

    def token(self, kid: str = "first", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        told = {"iss": self.url, "aud": "board", "sub": "jane", "exp": time.time() + 600, "roles": ["operator"]}
        return jwt.encode({**told, **claims}, key or self.keys[kid], algorithm=algorithm, headers={"kid": kid})

    def answer(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.claims_to_be, "jwks_uri": self.keys_at}
        return {"keys": [self._public(kid, key) for kid, key in self.keys.items()]}

    def _public(self, kid: str, key: Any) -> dict[str, Any]:
        is_rsa = isinstance(key, rsa.RSAPrivateKey)
        write = RSAAlgorithm.to_jwk if is_rsa else ECAlgorithm.to_jwk
        return {**json.loads(write(key.public_key())), "kid": kid, "use": "sig", "alg": "RS256" if is_rsa else "ES256"}


@contextmanager
def an_issuer() -> Iterator[Issuer]:
    """One that answers until the test is over."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            if issuer.is_no_http:
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                return
            body = b"" if issuer.is_broken else json.dumps(issuer.answer(self.path)).encode()
            self.send_response(500 if issuer.is_broken else 200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            del args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
