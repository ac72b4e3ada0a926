"""Lines that do not depend on each other, sent together: up to twenty writes in one request.

Microsoft takes writes in batches wherever Graph takes them at all, and counts each of them against its limits (facts
5.6 and 6). So one connection fills these, and more of them would only meet the limits sooner (bench/apply.py).
"""

from collections.abc import Sequence

from core.errors import UmpError
from m365 import teams_writes, writing
from provisioning.aspects import Answers, Desk, Intent, Parcel, aspect_of


def send_all(desk: Desk, intents: Sequence[Intent]) -> Answers:
    """The answers to these, which are of a user each; it raises no UmpError. Without one, nobody knows."""
    answers: Answers = {}
    parcels: list[Parcel] = []
    for family in dict.fromkeys(aspect_of(one.thing.aspect) for one in intents):
        mine = [one for one in intents if aspect_of(one.thing.aspect) is family]
        try:
            packed, told = family.pack(desk, mine)
        except UmpError as error:
            packed, told = [], {one.id: error for one in mine}
        parcels += packed
        answers |= told
    while parcels:
        written = writing.send_all(desk.graph, [parcel.write for parcel in parcels])
        apart: list[Parcel] = []
        for parcel, answer in zip(parcels, written, strict=True):
            if parcel.apart and isinstance(answer, UmpError) and teams_writes.is_refusal(answer):
                apart += parcel.apart
                continue
            for one in parcel.intents:
                family = aspect_of(one.thing.aspect)
                answers[one.id] = answer if isinstance(answer, UmpError) else family.sent(desk.graph, answer)
        parcels = apart
    return answers
