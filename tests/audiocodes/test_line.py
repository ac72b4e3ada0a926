"""What a line to a device asks before it writes."""

from typing import Any

import pytest
import requests

from audiocodes.line import Line, Target
from core.guard import Guard
from core.http import Outbound


def test_a_write_must_leave_by_the_moment_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given, done = list[object](), requests.Response()
    done.status_code = 204

    def request(self: Outbound, *_what: Any, sent_by: float | None, **_how: Any) -> requests.Response:
        given.append(sent_by)
        return done

    monkeypatch.setattr(Outbound, "request", request)
    target = Target("sbc1", "198.51.100.7", 80, https=False, user="Admin", password="of a device")
    with Line(target, Guard(), before_write=lambda: 17.5) as line:
        line.call("GET", "/")
        line.call("POST", "/")
    assert given == [None, 17.5]
