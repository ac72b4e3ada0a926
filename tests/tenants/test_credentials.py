"""What people paste as a credential."""

import uuid

import pytest

from core.errors import InvalidInput
from tenants.credentials import check_client_secret

SECRET = "abc8Q~" + "x" * 34


@pytest.mark.parametrize("text", ["", "  ", "a b", "x" * 1001, "ä" * 30, "a\nb"])
def test_secrets_that_cannot_be_one(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_client_secret(text)
    assert (caught.value.code, caught.value.field) == ("invalid_input", "client_secret")


def test_a_secret_id_pasted_as_secret_is_recognised() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_client_secret(f" {str(uuid.uuid4()).upper()} ")
    assert caught.value.code == "secret_is_guid"


@pytest.mark.parametrize("text", [f" {SECRET}\n", "0123456789abcdef" * 2])
def test_what_only_resembles_one_is_a_secret(text: str) -> None:
    assert check_client_secret(text) == text.strip()
