"""The family of errors: every code described, nothing secret in any of them."""

from __future__ import annotations

import json
import pickle
import re
import string

import pytest

from core.errors import (
    CATALOGUE,
    Conflict,
    DeltaExpired,
    InvalidInput,
    NotFound,
    Remedy,
    Throttled,
    UmpError,
    describe,
    render_markdown,
)
from core.kinds import NOUNS, WHO_IN_WORDS

JARGON = re.compile(
    r"AADSTS|OAuth|OIDC|JWT|\bHTTP\b|\bAPI call|endpoint|principal|bearer|delta ?link|nextLink", re.I
)
SECRETS = (
    "client_secret=Zx8~verysecretvalue",
    "Bearer eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJzdWIiOiIxIn0.c2ln",
    "0.AXoAverylongrefreshtokenvalue_-abc",
    "1.AXoAverylongrefreshtokenvalue_-abc",
    "cpk_abcdef123456",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----",
    "redis://user:hunter2secret@cache:6379/0",
)
NEEDLES = ("Zx8~very", "eyJ0", "AXoAvery", "cpk_abc", "MIIEvQ", "hunter2")


def _fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("code", CATALOGUE)
def test_each_code_speaks_to_people(code: str) -> None:
    kind = describe(code)
    assert re.fullmatch(r"[a-z][a-z0-9_]+", code)
    assert 200 <= kind.status < 600
    assert _fields(kind.message) | _fields(kind.advice) <= set(NOUNS)
    for sentence in (kind.message, kind.advice):
        assert sentence.endswith((".", "!"))
        assert not JARGON.search(sentence)


@pytest.mark.parametrize("code", CATALOGUE)
def test_each_code_can_be_raised_stored_and_read_back(code: str) -> None:
    error = UmpError.of(code, detail={"request_id": "r-1", "empty": ""}, retry_after=2.5)
    assert "{" not in error.message + error.advice
    stored = json.loads(json.dumps(error.to_dict()))
    again = UmpError.from_dict(stored)
    assert type(again) is type(error)
    assert again.to_dict() == error.to_dict() == pickle.loads(pickle.dumps(error)).to_dict()
    assert error.detail == {"request_id": "r-1"}


def test_a_field_names_the_thing_and_is_not_a_template() -> None:
    error = UmpError.of("app_not_found", app="{0.__class__} {code}", tenant="Contoso")
    assert error.message == "Microsoft does not know {0.__class__} {code} in Contoso."


def test_codes_that_programs_branch_on_have_classes() -> None:
    assert isinstance(UmpError.of("remote_not_found"), NotFound)
    assert isinstance(UmpError.of("conflict_version"), Conflict)
    assert isinstance(UmpError.of("throttled", retry_after=3), Throttled)
    assert isinstance(UmpError.of("delta_expired"), DeltaExpired)
    assert InvalidInput(field="name", why="it is empty").field == "name"
    assert NotFound(thing="customer").message == "There is no such customer here, or you may not see it."


def test_what_only_stopped_is_nobodys_fault() -> None:
    stopped = {code for code in CATALOGUE if UmpError.of(code).only_stopped}
    assert stopped == {"interrupted", "lease_lost"}
    assert {UmpError.of(code).remedy for code in stopped} == {Remedy.LATER}


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        UmpError.of("no_such_code")


def test_a_code_of_another_version_keeps_its_words() -> None:
    error = UmpError.from_dict(
        {"code": "from_the_future", "message": "It rained.", "advice": "Wait.", "detail": 3}
    )
    assert (error.code, error.message, error.advice, error.detail) == ("internal", "It rained.", "Wait.", {})


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_gets_into_an_error(secret: str) -> None:
    error = UmpError.of("bad_reply", host=secret, why=secret, detail={"said": secret})
    written = repr(error) + str(error) + json.dumps(error.to_dict()) + str(error.fields)
    assert not any(needle in written for needle in NEEDLES)


def test_long_and_hostile_fields_are_tamed() -> None:
    error = UmpError.of("remote_not_found", thing="x" * 5000 + "\r\n\x1b[31m", detail={"d": "y" * 5000})
    assert len(error.message) < 500
    assert "\x1b" not in error.message
    assert len(error.detail["d"]) == 1000


def test_what_waits_for_nobody_is_not_said_to_wait() -> None:
    """A connection that a person must mend suspends the tenant; a busy service must not."""
    for kind in CATALOGUE.values():
        if kind.scope == "service" and kind.remedy is Remedy.LATER:
            assert kind.status >= 500
        if kind.section == "What was asked of the portal":
            assert kind.scope == "none"


def test_the_page_names_every_code_once() -> None:
    page = render_markdown({"throttled": ["HTTP 429"]})
    assert [line[5:-1] for line in page.splitlines() if line.startswith("### `")] == list(CATALOGUE)
    assert "- at Microsoft: HTTP 429" in page
    assert all(words in page for words in WHO_IN_WORDS.values())
