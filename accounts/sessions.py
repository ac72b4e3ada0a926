"""Sessions: Django's own in the database, each with whose it is and from where, so that people can end them.

The table holds a hash of the cookie's value: a stolen dump opens no session. A session lasts SESSION_COOKIE_AGE
from the sign-in, however busy it is.
"""

import contextlib
import datetime as dt
import functools
import hashlib
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, cast

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends import db
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone

NOTED_EVERY = dt.timedelta(minutes=1)
FORGOTTEN_AT_ONCE = 100
LONGEST_AGENT = 200
LOOKS_BY_ITSELF = ("/live/", "/figures/")
"""How the addresses end that open pages ask every few seconds."""


_person: ContextVar[Any] = ContextVar("person_of_session", default=None)


def hashed(key: str) -> str:
    """Plain SHA-256 will do: keys are random and long."""
    return hashlib.sha256(key.encode()).hexdigest()


class SessionStore(db.SessionStore):
    """SESSION_ENGINE names this module. `row` is what was found for the request's cookie, with whose it is."""

    row: Any = None

    @classmethod
    def get_model_class(cls) -> Any:
        from accounts.models import Session  # noqa: PLC0415  middleware may be loaded before the models

        return Session

    def _get_session_from_db(self) -> Any:
        self.row = _read(hashed(self.session_key or ""))
        _person.set(self.row.user if self.row else None)
        if self.row is None:
            self._session_key = None
        return self.row

    def exists(self, session_key: str) -> bool:
        return bool(self.model.objects.filter(session_key=hashed(session_key)).exists())

    def create(self) -> None:
        super().create()
        old = self.model.objects.filter(expire_date__lt=timezone.now())[:FORGOTTEN_AT_ONCE]
        self.model.objects.filter(session_key__in=list(old.values_list("session_key", flat=True))).delete()

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        store: Any = self  # django-stubs knows neither this method nor our columns
        return store.model(
            session_key=hashed(store._get_or_create_session_key()),
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            user_id=data.get(SESSION_KEY),
            auth_hash=data.get(HASH_SESSION_KEY, ""),
        )

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            self.model.objects.filter(session_key=hashed(key)).delete()


def _read(key: str) -> Any:
    """A living session with its person, or None: in one query, written once, because every request asks for it."""
    sql, columns, people = _question()
    with connection.cursor() as cursor:
        cursor.execute(sql, [key, timezone.now()])
        found = cursor.fetchone()
    if found is None:
        return None
    row = SessionStore.get_model_class().from_db(DEFAULT_DB_ALIAS, columns, found[: len(columns)])
    known = row.user_id is not None
    row.user = get_user_model().from_db(DEFAULT_DB_ALIAS, people, found[len(columns) :]) if known else None
    return row


@functools.cache
def _question() -> tuple[str, list[str], list[str]]:
    """The query, and which columns of it are the session's and the person's."""
    session, person = (model._meta for model in (SessionStore.get_model_class(), get_user_model()))
    columns = [f's."{each.column}"' for each in session.concrete_fields]
    columns += [f'p."{each.column}"' for each in person.concrete_fields]
    sql = (
        f"SELECT {', '.join(columns)} FROM {session.db_table} s LEFT JOIN {person.db_table} p ON p.id = s.user_id"  # noqa: S608
        " WHERE s.session_key = %s AND s.expire_date > %s"
    )
    names = [[each.attname for each in meta.concrete_fields] for meta in (session, person)]
    return sql, names[0], names[1]


@contextlib.contextmanager
def request_of_its_own() -> Iterator[None]:
    """What was read of a person for a request ends with it."""
    token = _person.set(None)
    try:
        yield
    finally:
        _person.reset(token)


def person_at_hand(user_id: uuid.UUID) -> Any:
    """The person whose session was just read, given once; None for anybody else."""
    found = _person.get()
    if found is None or found.pk != user_id:
        return None
    _person.set(None)
    return found


def by_itself(request: HttpRequest) -> bool:
    """Whether a page asks for its news, and no person does anything."""
    return request.path.endswith(LOOKS_BY_ITSELF)


def idle(request: HttpRequest) -> dt.timedelta:
    """How long nobody had used this session when the request came; nothing for one who is not signed in."""
    if SESSION_KEY not in request.session:
        return dt.timedelta()
    last: dt.datetime = cast("SessionStore", request.session).row.last_used_at
    return timezone.now() - last


def note_use(request: HttpRequest) -> None:
    """That a signed-in person's session is used, from where and with what: once a minute, or when these change."""
    if SESSION_KEY not in request.session or by_itself(request):
        return
    row = cast("SessionStore", request.session).row
    said = request.META.get("HTTP_USER_AGENT", "")
    agent = "".join(character for character in said if character.isprintable())[:LONGEST_AGENT]
    address = getattr(request, "client_address", None)
    late = timezone.now() - row.last_used_at > NOTED_EVERY
    if late or (agent, address) != (row.agent, row.address):
        found = SessionStore.get_model_class().objects.filter(pk=row.pk)  # it may have ended meanwhile
        found.update(last_used_at=Now(), agent=agent, address=address)


def own_key(request: HttpRequest) -> str:
    """The request's session as it stands in the table."""
    return hashed(request.session.session_key or "")


# --- What a browser calls itself, in words ------------------------------------------------------------------
BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"), ("curl", "curl"),
    ("python", "A Python program"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"),
    ("Windows", "Windows"), ("Mac OS", "a Mac"), ("Linux", "Linux"),
)  # fmt: skip
"""The first that fits: many name others too, to be taken for them."""


def words_of(agent: str) -> str:
    """Such as "Firefox on Windows"; a header is only a claim, so this is for people and nothing else."""
    browser = next((name for mark, name in BROWSERS if mark.lower() in agent.lower()), "An unknown browser")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser
