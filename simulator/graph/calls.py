"""Call records: nobody has called anybody yet, so there are none; who may ask is what matters here."""

from __future__ import annotations

import re

from simulator.graph.call import Call, UnknownRequestError
from simulator.graph.lists import answer
from simulator.http1 import Response

_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
_SINCE = re.compile(rf"startDateTime (lt|le|gt|ge) {_MOMENT}( and startDateTime (lt|le|gt|ge) {_MOMENT})?")


def call_records(call: Call) -> Response:
    """`GET /communications/callRecords`: $filter knows startDateTime (and the participants, which nobody uses)."""
    wanted = call.query.get("$filter", "")
    if wanted and not _SINCE.fullmatch(wanted):
        raise UnknownRequestError(f"Invalid filter clause: {wanted}")
    return answer({"@odata.context": call.context("communications/callRecords"), "value": []})
