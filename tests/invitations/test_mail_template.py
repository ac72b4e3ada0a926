"""Placeholders: three, filled once, shown as what they are wherever they land (facts/security.md 5.11)."""

import pytest

from core.errors import InvalidInput
from invitations import template
from invitations.template import LINK, Values

VALUES = Values("Contoso & Söhne", "https://portal.example/authenticate", "s3cr3t_token-0123")
HOSTILE = [
    "{{InvitationId}}",
    "{{7*7}}",
    "{{settings.SECRET_KEY}}",
    "{% include 'x' %}",
    "{0.__class__}",
    "%(x)s",
    "<b onmouseover=alert(1)>x</b>",
    "https://evil.example/now",
]


def test_the_default_says_what_an_invitation_must_say_and_passes_its_own_check() -> None:
    for provider in ("Finebak", "Fine{{InvitationId}}bak", "F\nB"):
        subject, body = template.default_subject(provider), template.default_body(provider)
        template.check(subject, body)
        assert template.subject_of(subject, VALUES).startswith("Welcome, Contoso & Söhne: ")
    text = template.text_of(template.default_body("Finebak"), VALUES)
    assert "https://portal.example/authenticate/s3cr3t_token-0123\n" in text
    for role in (
        "Global Administrator", "Teams Administrator", "Teams Telephony Administrator",
        "Skype for Business Administrator", "Application Administrator", "Domain Name Administrator",
        "User Administrator",
    ):  # fmt: skip
        assert role in text
    assert text.count("s3cr3t_token-0123") == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_customer_s_name_is_never_read_as_a_placeholder_or_as_html(name: str) -> None:
    values = Values(name, VALUES.portal, VALUES.invitation)
    body = "Hello {{CustomerId}}!\n\n" + LINK
    assert template.text_of(body, values) == f"Hello {name}!\n\n{values.link}"
    assert template.subject_of("For {{CustomerId}}", values) == f"For {name}"
    page = template.html_of(body, values)
    assert "<b" not in page.replace("<br", "")
    assert page.count("<a ") == 1
    assert page.count(VALUES.invitation) == 2, "the address and its text, and nowhere else"


def test_a_name_cannot_break_the_line_or_turn_the_direction_of_reading() -> None:
    values = Values("Con\r\nBcc: x@evil.example\u202etoso\u2028", VALUES.portal, "t")
    assert template.subject_of("For {{CustomerId}}", values) == "For Con  Bcc: x@evil.exampletoso "


def test_html_keeps_paragraphs_lines_and_lists_and_escapes_what_was_typed() -> None:
    body = f"One <script>\ntwo\n\n- a\n- b & c\n\n{LINK}\n\nSee https://help.example/x?a=1&b=2."
    assert template.html_of(body, VALUES) == (
        "<p>One &lt;script&gt;<br>\ntwo</p>\n<ul><li>a</li><li>b &amp; c</li></ul>\n"
        '<p><a href="https://portal.example/authenticate/s3cr3t_token-0123">'
        "https://portal.example/authenticate/s3cr3t_token-0123</a></p>\n"
        '<p>See <a href="https://help.example/x?a=1&amp;b=2">https://help.example/x?a=1&amp;b=2</a>.</p>'
    )


@pytest.mark.parametrize(
    ("subject", "body", "field", "why"),
    [
        ("", LINK, "subject", "empty"),
        (" \u00a0 ", LINK, "subject", "empty"),
        ("Hello\nBcc: x@y.example", LINK, "subject", "one line"),
        ("Hello\r", LINK, "subject", "one line"),
        ("Hello\u2028there", LINK, "subject", "one line"),
        ("x" * 201, LINK, "subject", "longer than 200"),
        ("Hi {{Name}}", LINK, "subject", "cannot be used: {{Name}} is no placeholder"),
        ("Hi", LINK + " {{customerid}}", "body", "{{customerid}} is no placeholder"),
        ("Hi", LINK + " {{ CustomerId }}", "body", "{{ CustomerId }} is no placeholder"),
        ("Hi", LINK + " {{7*7}}", "body", "{{7*7}} is no placeholder"),
        ("Hi", LINK + " {{{{CustomerId}}}}", "body", "no placeholder"),
        ("Hi", LINK + " {{CustomerId", "body", "no placeholder"),
        ("Hi", LINK + "\0", "body", "no mail may contain"),
        ("Hi", LINK + "x" * 1_000_000, "body", "longer than 20,000"),
        ("Hi", "{{CustomerAuthenticationPortalUrl}}", "body", "must contain the link"),
    ],
)
def test_what_cannot_be_sent_is_refused_on_save_with_its_reason(
    subject: str, body: str, field: str, why: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        template.check(subject, body)
    assert caught.value.field == field
    assert why in caught.value.message


def test_a_megabyte_of_braces_takes_no_time() -> None:
    with pytest.raises(InvalidInput):
        template.check("Hi", "{{" * 500_000)
    with pytest.raises(InvalidInput):
        template.check("{{" * 100, LINK + "{" * 19_000)
