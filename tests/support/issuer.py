"""A small OpenID Connect provider on loopback: real HTTP, real signatures, and every mistake a provider can make."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey


class Issuer:
    """The provider. Attributes that start without underscore may be changed while it runs."""

    def __init__(self) -> None:
        self.keys: list[RSAKey | ECKey] = [RSAKey.generate_key(2048, {"kid": "first"})]
        self.odd_keys: list[Any] = []
        self.asked: Counter[str] = Counter()
        self.says_issuer: str | None = None
        self.failing = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked[self.path] += 1
                body = issuer._document(self.path)
                self.send_response(500 if issuer.failing else 200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *arguments: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/realm"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _document(self, path: str) -> Any:
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.says_issuer or self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/realm/keys":
            return {"keys": [*self.odd_keys, *KeySet(list(self.keys)).as_dict(private=False)["keys"]]}
        return None

    def token(self, key: Any = None, *, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token for a member called "ada"; ``claims`` change it, None takes one away."""
        key = key or self.keys[0]
        now = int(time.time())
        content: dict[str, Any] = {
            "iss": self.url,
            "aud": ["other", "km3vo"],
            "sub": "ada",
            "iat": now,
            "exp": now + 300,
            "groups": ["guests", "km3net"],
        }
        content = {name: value for name, value in (content | claims).items() if value is not None}
        return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, content, key, algorithms=[alg])
