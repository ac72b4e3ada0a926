"""What is written down: secrets masked by name and by shape, the rest left readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import MASK, is_secret_key, redact, redact_text

JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"Authorization: Bearer {JWT}", f"Authorization: Bearer {MASK}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {MASK}"),
        (f"token {JWT} was refused", f"token {MASK} was refused"),
        ("grant_type=x&client_secret=a.b~c&scope=y", f"grant_type=x&client_secret={MASK}&scope=y"),
        ('{"refresh_token": "0.AXoAbc", "x": 1}', f'{{"refresh_token": "{MASK}", "x": 1}}'),
        (
            "https://portal/authenticate?code=0.Abcdefg&state=s",
            f"https://portal/authenticate?code={MASK}&state=s",
        ),
        (
            "Forbidden (CSRF): /authenticate/fJCYR8qEitSckTvAw_eBf1DDJ0JxZ033-_pM4KylQO4",
            f"Forbidden (CSRF): /authenticate/{MASK}",
        ),
        ("Gone: /authenticate/OAuth2Callback", "Gone: /authenticate/OAuth2Callback"),
        (
            "Not Found: /accounts/password/reset/key/2b-cs9k1x-77d0f1e2/",
            f"Not Found: /accounts/password/reset/key/{MASK}/",
        ),
        ("1.AVQAabcdefghijklmnop.Agabc kept", f"{MASK} kept"),
        ("key cpk_0123456789abcdef", f"key {MASK}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----!", f"{MASK}!"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", MASK),
        ("amqp://ump:s3cret@broker:5672//", f"amqp://{MASK}@broker:5672//"),
        ("line\r\nforged\x1b[0m\u2028", "line\\x0d\nforged\\x1b[0m\\x2028"),
        ("user 1.5.2 read 20 pages of /users in 0.4 s", "user 1.5.2 read 20 pages of /users in 0.4 s"),
    ],
)
def test_text(text: str, left: str) -> None:
    assert redact_text(text) == left


@pytest.mark.parametrize(
    "name",
    ["client_secret", "Password", "authorization", "Set-Cookie", "refresh_token", "accessToken", "private_key_pem",
     "device_code", "code", "token", "totp_seed", "X-Api-Key", "client_assertion", "secretText"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_key(name)


@pytest.mark.parametrize(
    "name", ["tenant", "error_code", "status", "secret_hint", "token_endpoint", "pages", "codec"]
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_key(name)


def test_nested_values() -> None:
    assert redact({"a": [{"password": "x", "n": 1}], "client_secret": None, "b": b"bytes", "t": (JWT,)}) == {
        "a": [{"password": MASK, "n": 1}],
        "client_secret": None,
        "b": MASK,
        "t": [MASK],
    }


def test_our_own_codes_stay_readable_and_authorization_codes_do_not() -> None:
    assert redact({"code": "throttled"}) == {"code": "throttled"}
    assert redact({"code": "0.AXoAbcDEF"}) == {"code": MASK}


def test_very_deep_values_end() -> None:
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"in": deep}
    assert "[nested]" in str(redact(deep))


@given(st.text(max_size=300), st.text(alphabet="abcXYZ019-_", min_size=20, max_size=60))
def test_a_token_in_any_text_is_masked(around: str, token: str) -> None:
    assert token not in redact_text(f"{around} eyJ{token}.{token}.x {around}").replace(around, "")
