"""The steps of a domain's set-up and removal: their words, why each may take a while, and how long at most."""

import dataclasses
import datetime as dt

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Step:
    """`why` is said while it is under way and nothing more is known; past `limit` a person must look."""

    key: str
    title: str
    why: str
    limit: dt.timedelta
    of_user: bool = False

    @property
    def limit_words(self) -> str:
        """ "2 hours"."""
        seconds = self.limit.total_seconds()
        number, unit = (seconds / 3600, "hour") if seconds >= 3600 else (seconds / 60, "minute")
        if number >= 48 and unit == "hour":
            number, unit = number / 24, "day"
        return f"{number:g} {unit}{'' if number == 1 else 's'}"


RIGHTS = Step(
    "rights", "May the portal do it?", "The portal looks at permissions, roles and free licences.", HOUR
)
ADD = Step(
    "add", "Add the domain at Microsoft", "Microsoft needs a moment until it knows a new domain.", HOUR
)
PROOF = Step("proof", "Ask how to prove it", "Microsoft names the TXT record that it wants to see.", HOUR)
WRITE = Step("write", "Write the TXT record", "The provider's name server is asked to add the record.", HOUR)
SEE = Step(
    "see",
    "See the TXT record in the DNS",
    "Name servers copy a new record from each other, which takes seconds to minutes.",
    2 * HOUR,
)
SEE_BY_HAND = dataclasses.replace(
    SEE,
    why="Somebody writes the record below; then name servers copy it: minutes, at some providers an hour.",
    limit=7 * DAY,
)
VERIFY = Step(
    "verify",
    "Let Microsoft verify it",
    "Microsoft looks the record up itself, and may remember for a while that it was not there.",
    4 * HOUR,
)
TIDY = Step("tidy", "Take the TXT record away again", "It has done its work.", HOUR)
USER = Step(
    "user",
    "Make the activation user",
    "Microsoft Teams knows a domain only while a licensed user has it.",
    HOUR,
    of_user=True,
)
LICENCE = Step(
    "licence",
    "Give it a licence with Teams Phone",
    "Microsoft needs a moment until it knows a new user everywhere.",
    HOUR,
    of_user=True,
)
FORCE = Step(
    "force",
    "Let the licence take effect",
    "Microsoft sets up Teams Phone for the user, which mostly takes minutes and may take a day.",
    DAY,
    of_user=True,
)

SETTING_UP = (RIGHTS, ADD, PROOF, WRITE, SEE, VERIFY, TIDY, USER, LICENCE, FORCE)
BY_HAND = (RIGHTS, ADD, PROOF, SEE_BY_HAND, VERIFY, USER, LICENCE, FORCE)
REMOVING = (
    Step("drop_user", "Remove the activation user", "Its licence becomes free again.", HOUR),
    Step("drop_text", "Take the TXT record away", "The provider's name server is asked to remove it.", HOUR),
    Step(
        "drop_domain",
        "Remove the domain at Microsoft",
        "Microsoft needs a moment until it knows that nobody has the domain any more.",
        HOUR,
    ),
)
