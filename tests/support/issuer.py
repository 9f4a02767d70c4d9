"""A small OpenID Connect provider on loopback: real HTTP, real signatures, and every mistake a provider can make."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT = {"client_id": "km3vo vo", "client_secret": "a:secret &"}


class Issuer:
    """The provider. Attributes that start without underscore may be changed while it runs.

    Attributes:
        claims: that ID tokens have beside or instead of those of ``token``.
        answer: parameters with which browsers are sent back beside or instead of the usual ones.
        used: codes that came twice.
    """

    def __init__(self) -> None:
        self.keys: list[RSAKey | ECKey] = [RSAKey.generate_key(2048, {"kid": "first"})]
        self.odd_keys: list[Any] = []
        self.asked: Counter[str] = Counter()
        self.says_issuer: str | None = None
        self.failing = False
        self.claims: dict[str, Any] = {}
        self.answer: dict[str, str] = {}
        self.more: dict[str, Any] = {}
        self.used: list[str] = []
        self.left_out: set[str] = set()
        self._codes: dict[str, dict[str, str] | None] = {}
        self._refreshing: set[str] = set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked[self.path.partition("?")[0]] += 1
                if self.path.startswith("/realm/authorize?"):
                    self.send_response(302)
                    self.send_header("Location", issuer.back(self.path))
                    self.end_headers()
                    return
                body = issuer._document(self.path)
                self.send_response(500 if issuer.failing else 200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def do_POST(self) -> None:
                issuer.asked[self.path] += 1
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                authorization = self.headers.get("Authorization", "")
                given = {} if issuer.failing else issuer._given(dict(parse_qsl(sent)), authorization)
                self.send_response(500 if issuer.failing else 200 if "error" not in given else 400)
                self.end_headers()
                self.wfile.write(json.dumps(given).encode())

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
            return {
                "issuer": self.says_issuer or self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "authorization_response_iss_parameter_supported": True,
                **self.more,
            }
        if path == "/realm/userinfo":
            return {"sub": "ada", "groups": ["km3net"]} | self.claims
        if path == "/realm/keys":
            return {"keys": [*self.odd_keys, *KeySet(list(self.keys)).as_dict(private=False)["keys"]]}
        return None

    def back(self, url: str) -> str:
        """Where a browser is sent that comes to log in, and is known already."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["client_id"] == CLIENT["client_id"] and asked["code_challenge_method"] == "S256", asked
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.url} | self.answer
        return f"{asked['redirect_uri']}?{urlencode({name: value for name, value in answer.items() if value})}"

    def _given(self, asked: dict[str, str], authorization: str) -> dict[str, Any]:
        """What the token endpoint gives (RFC 6749 §4.1.3, §6): a code is good once, and so is the rest."""
        client = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote_plus(client[0]), unquote_plus(client[2])) != tuple(CLIENT.values()):
            return {"error": "invalid_client"}
        nonce: dict[str, str] = {}
        if asked["grant_type"] == "authorization_code":
            if (begun := self._codes.get(asked["code"])) is None:
                self.used.append(asked["code"])
                return {"error": "invalid_grant"}
            self._codes[asked["code"]] = None
            digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if challenge != begun["code_challenge"] or asked["redirect_uri"] != begun["redirect_uri"]:
                return {"error": "invalid_grant"}
            nonce["nonce"] = begun["nonce"]
        elif asked["refresh_token"] in self._refreshing:
            self._refreshing.discard(asked["refresh_token"])
        else:
            return {"error": "invalid_grant"}
        refresh = secrets.token_urlsafe(16)
        self._refreshing.add(refresh)
        claims = {"aud": CLIENT["client_id"], "preferred_username": "Ada"} | nonce | self.claims
        given = {"access_token": "opaque", "token_type": "Bearer", "refresh_token": refresh}
        given["id_token"] = self.token(**claims)
        return {name: value for name, value in given.items() if name not in self.left_out}

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
