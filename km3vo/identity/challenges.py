"""Where to get (better) credentials: the values of ``WWW-Authenticate`` (RFC 9110 §11.6.1, SSO 2.1)."""

from __future__ import annotations

from km3vo.errors import Km3voError, NoCredentialsError


def ivoa_challenges(base: str, issuer: str) -> list[str]:
    """Where clients of the Virtual Observatory get a token (SSO 2.1, challenge ``ivoa_bearer``).

    Args:
        base: the address of the service.
        issuer: the identity provider's URL, or "".
    """
    login = f"{base}/login"
    places = [("tls-with-password", login), ("BasicAA", login)]
    if issuer:
        places.append(("OpenID", issuer))
    return [f'ivoa_bearer standard_id="ivo://ivoa.net/sso#{method}", access_url="{url}"' for method, url in places]


def challenges(error: Km3voError, base: str, issuer: str) -> list[str]:
    """All challenges of a refusal; none when better credentials would not help."""
    if error.status == 403:
        return ivoa_challenges(base, issuer)  # somebody else may be let in
    if error.status != 401:
        return []
    wrong = "" if isinstance(error, NoCredentialsError) else ', error="invalid_token"'
    return [f'Bearer realm="km3vo"{wrong}', *ivoa_challenges(base, issuer), 'Basic realm="km3vo", charset="UTF-8"']
