"""The mail server that delivers nothing, its pages, and the ways in which it fails."""

import collections
import smtplib
from email.message import EmailMessage
from typing import Any

import pytest

from simulator.server import Simulator
from tests.simulator.client import Gateway


def letter(subject: str = "Hello", body: str = "Text\n.\n..dots\n", **more: Any) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "portal@x.example", "admin@y.example", subject
    made.set_content(body)
    if more:
        made.add_alternative(more["html"], subtype="html")
    return made


def send(simulator: Simulator, message: EmailMessage) -> None:
    with smtplib.SMTP(simulator.mail.host, simulator.mail.port, timeout=30) as line:
        line.send_message(message)


def test_what_was_sent_is_there_as_it_was(simulator: Simulator, gateway: Gateway) -> None:
    send(simulator, letter(html="<p>Hi</p>"))
    send(simulator, letter("Zweite", "ä\n"))
    found = control(gateway, simulator, "GET", "/mail?to=admin@y")["mails"]
    assert [mail["subject"] for mail in found] == ["Zweite", "Hello"]
    assert found[1]["text"] == "Text\n.\n..dots\n"
    assert found[1]["html"] == "<p>Hi</p>\n"
    assert control(gateway, simulator, "GET", "/mail?to=nobody")["mails"] == []


def test_the_ledger_remembers_what_the_box_forgets(
    simulator: Simulator, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = simulator.mail
    monkeypatch.setattr(house, "_mails", collections.deque(maxlen=1))
    for number in (1, 2, 3):
        mail = letter(f"No. {number}", "Message-ID: <of@the-body>\n")
        mail["Message-ID"] = f"<mail-{number}@x.example>"
        house.take("portal@x.example", (f"u{number}@y.example",), mail.as_bytes(), protected=False)
    assert len(control(gateway, simulator, "GET", "/mail")["mails"]) == 1
    assert control(gateway, simulator, "GET", "/mail/ledger?since=1&limit=1") == {
        "total": 3,
        "ledger": [{"id": 2, "to": ["u2@y.example"], "message_id": "<mail-2@x.example>"}],
    }


def test_its_pages_show_nothing_that_runs(simulator: Simulator, gateway: Gateway) -> None:
    send(
        simulator,
        letter("<b>S</b>", "See https://x.example/a?b=1&c=2.\n<i>", html="<head></head><script>x</script>"),
    )
    listing = gateway.get("/outbox").text
    assert "&lt;b&gt;S" in listing
    page = gateway.get("/outbox/1").text
    assert '<a rel="noreferrer" href="https://x.example/a?b=1&amp;c=2">' in page
    assert "&lt;i&gt;" in page
    assert "<script" not in page + listing
    frame = gateway.get("/outbox/1/html")
    assert "sandbox" in frame.headers["Content-Security-Policy"]
    assert "default-src 'none'" in frame.headers["Content-Security-Policy"]
    for gone in ("/outbox/2", "/outbox/x", "/outbox/1/raw"):
        assert gateway.get(gone).status_code == 404


def control(gateway: Gateway, simulator: Simulator, method: str, path: str, body: Any = None) -> Any:
    answer = gateway.request(method, f"{simulator.url}/_sim{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("trouble", "code"), [("busy", 421), ("later", 451), ("refuse", 550), ("refuse_mail", 554)]
)
def test_it_fails_as_mail_servers_do(trouble: str, code: int, simulator: Simulator, gateway: Gateway) -> None:
    control(gateway, simulator, "PATCH", "/mail", {"trouble": trouble})
    with pytest.raises(smtplib.SMTPException) as caught:
        send(simulator, letter())
    assert str(code) in str(caught.value)
    assert control(gateway, simulator, "GET", "/mail")["mails"] == []
    control(gateway, simulator, "PATCH", "/mail", {"trouble": ""})
    send(simulator, letter())


def test_some_addresses_are_never_known(simulator: Simulator) -> None:
    message = letter()
    del message["To"]
    message["To"] = "refused@y.example"
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(simulator, message)


def test_nonsense_is_answered_and_too_much_is_refused(simulator: Simulator) -> None:
    with smtplib.SMTP(simulator.mail.host, simulator.mail.port, timeout=30) as line:
        assert line.docmd("GET / HTTP/1.1")[0] == 502
        assert line.docmd("DATA")[0] == 503
        assert line.docmd("RCPT TO:<a@b>")[0] == 503
        assert line.docmd("MAIL FROM:nobody")[0] == 501
        assert line.docmd("STARTTLS")[0] == 454
        line.ehlo()
        with pytest.raises(smtplib.SMTPDataError) as caught:
            line.sendmail("a@b.example", ["c@d.example"], b"x" * 2_100_000)
        assert caught.value.smtp_code == 552
        assert line.noop()[0] == 250
    assert simulator.mail.mails() == []
