"""Host names by RFC 1123, and how one is made from what a customer is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from nameservers import names


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Contoso Manufacturing", "contoso-manufacturing"),
        ("Alder & Finch Logistics", "alder-finch-logistics"),
        ("Müller & Söhne GmbH", "muller-sohne-gmbh"),
        ("Straße 7", "strasse-7"),
        ("  --Ørsted--  ", "orsted"),
        ("日本", ""),
        ("a" * 80, "a" * 63),
        ("ab " * 40, ("ab-" * 21)[:62]),
    ],
)
def test_a_customers_name_becomes_a_label(text: str, label: str) -> None:
    assert names.label_of(text) == label


@given(st.text(max_size=200))
def test_every_label_is_one(text: str) -> None:
    label = names.label_of(text)
    assert label == "" or names.checked(f"{label}.example") == f"{label}.example"


@pytest.mark.parametrize(
    "text", ["a.example", "A.Example.", "xn--mller-kva.example", "3com.example", "a-b.c-d.example"]
)
def test_host_names(text: str) -> None:
    assert names.checked(text) == text.lower().rstrip(".")


@pytest.mark.parametrize(
    "text",
    [
        *("", "example", "a..example", "-a.example", "a-.example", "a_b.example", "a b.example", "ü.example"),
        *(
            f"{'a' * 64}.example",
            ".".join(["a" * 60] * 5),
            "a.example\n.b",
            "*.example",
            "a/b.example",
            "10.0.0.1",
        ),
    ],
)
def test_what_is_no_host_name(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        names.checked(text, field="domain")
    assert raised.value.field == "domain"


def test_microsofts_own_rules() -> None:
    assert names.for_microsoft("a" * 36 + ".sbc.example") == "a" * 36 + ".sbc.example"
    for text in ("a" * 37 + ".sbc.example", "x.onmicrosoft.com", "onmicrosoft.com"):
        with pytest.raises(InvalidInput):
            names.for_microsoft(text)


@pytest.mark.parametrize(
    ("label", "number", "room", "made"),
    [
        ("contoso", 1, 40, "contoso"),
        ("contoso", 2, 40, "contoso-2"),
        ("contoso", 12, 7, "cont-12"),
        ("a-b", 1, 2, "a"),
    ],
)
def test_a_second_wish_gets_a_number(label: str, number: int, room: int, made: str) -> None:
    assert names.numbered(label, number, room) == made
