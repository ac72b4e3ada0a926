"""Writes about people and API clients."""

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.db.models import F, Q
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from accounts.links import path_of
from accounts.models import ApiToken, SavedView, Session, User
from accounts.selectors import as_view, sessions_of, views_of
from accounts.taken import once
from audit.services import Changes, Who, record
from core.errors import InvalidInput, NotFound

PREFIX = "cpk"
MOST_VIEWS = 20
"""Views that a person may keep of one list."""
KNOWN = "there is a person with this email address already"


@transaction.atomic
def add_user(who: Who, *, email: str, name: str, password: str | None) -> User:
    """Raises InvalidInput naming the field. Without a password the person sets one by a sign-in link."""
    user = User(email=_clean_email(email), name=_clean_name(name))
    if password is None:
        user.set_unusable_password()
    else:
        _check_password(password, user)
        user.set_password(password)
    with once("email", KNOWN):
        user.save()
        # allauth offers second factors to verified addresses only; whoever adds a person vouches for the address.
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    _record(who, "user.added", user)
    return user


@transaction.atomic
def edit_user(who: Who, user: User, *, email: str, name: str) -> User:
    """Change the name and the sign-in name. Another address ends the person's sessions and unused links.

    Raises InvalidInput naming the field.
    """
    before = {"email": user.email, "name": user.name}
    user.email, user.name = _clean_email(email, but=user), _clean_name(name)
    after = {"email": user.email, "name": user.name}
    changes = {field: (before[field], after[field]) for field in before if before[field] != after[field]}
    if not changes:
        return user
    with once("email", KNOWN):
        user.save(update_fields=["email", "name"])
        if "email" in changes:
            EmailAddress.objects.filter(user=user).delete()
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
            end_sessions(user.id)
    _record(who, "user.edited", user, changes)
    return user


@transaction.atomic
def set_password(who: Who, user: User, *, password: str) -> None:
    """A new password; sessions, which hang on the old one, are over at their next request. Raises InvalidInput."""
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    _record(who, "user.password_set", user)


@transaction.atomic
def choose_password(who: Who, user: User, *, password: str) -> None:
    """The person's own, which allauth has checked."""
    user.set_password(password)
    user.save(update_fields=["password"])
    _record(who, "user.password_changed", user)


def note_factor(who: Who, user: User, *, factor: str, added: bool) -> None:
    """The person has one more way to prove who he is, or one less."""
    changes = {"factor": (None, factor) if added else (factor, None)}
    _record(who, "factor.added" if added else "factor.removed", user, changes)


def note_address(who: Who, user: User, *, address: str, added: bool) -> None:
    """The person has proven one more address of his, or has removed one, proven or not."""
    changes = {"address": (None, address) if added else (address, None)}
    _record(who, "address.added" if added else "address.removed", user, changes)


def note_primary(who: Who, user: User, *, before: str) -> None:
    """The person has made another of his addresses the first one, to which his mail goes. His sessions go on."""
    _record(who, "user.edited", user, {"email": (before, user.email)})


@transaction.atomic
def set_active(who: Who, user: User, *, active: bool) -> None:
    """Let the person sign in, or not any more; then his sessions are over at once."""
    if User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active):
        end_sessions(user.pk)
        _record(who, "user.reactivated" if active else "user.deactivated", user)
    user.is_active = active


@transaction.atomic
def remove_factors(who: Who, user: User) -> None:
    """Forget authenticator app, passkeys and recovery codes of somebody who lost them."""
    if Authenticator.objects.filter(user=user).delete()[0]:
        end_sessions(user.pk)
        _record(who, "factor.removed", user)


def end_sessions(user_id: uuid.UUID) -> None:
    """Every session of the person is over at its next request."""
    User.objects.filter(pk=user_id).update(session_epoch=F("session_epoch") + 1)


@transaction.atomic
def end_own_session(who: Who, user: User, key: str) -> str:
    """End one of the person's own sessions, at once; what it was, in words. Raises NotFound."""
    session = sessions_of(user).filter(session_key=key).first()
    if session is None:
        raise NotFound(thing="session")
    session.delete()
    _record(who, "session.ended", user, {"session": (str(session), None)})
    return str(session)


def time_out(who: Who, request: HttpRequest) -> None:
    """The session was left alone for too long; whoever comes back signs in again."""
    person = User.objects.get(id=who.id)
    logout(request)
    _record(who, "session.timed_out", person)


@transaction.atomic
def end_other_sessions(who: Who, user: User, *, but: str) -> int:
    """End every session of the person but this one, at once; how many there were."""
    others = sessions_of(user).exclude(session_key=but)
    number = others.count()
    Session.objects.filter(user=user).exclude(session_key=but).delete()
    if number:
        _record(who, "session.ended", user, {"sessions": (number + 1, 1)})
    return number


def sign_in_link(who: Who, user: User) -> str:
    """An address where the person sets a password, once, within PASSWORD_RESET_TIMEOUT.

    It dies with its use, with a sign-in, and while the person is deactivated. A second factor is still asked for.
    """
    _record(who, "link.made", user)
    return f"{settings.PORTAL_BASE_URL}{path_of(user)}"


@transaction.atomic
def save_view(who: Who, user: User, *, page: str, name: str, query: str) -> SavedView:
    """Keep a list as it is shown under a name; one of the same name is replaced. Raises InvalidInput."""
    name, kept = _clean_name(name), as_view(QueryDict(query))
    if not name or len(name) > 40:
        raise InvalidInput(field="name", why="it needs 1 to 40 characters")
    if page not in SavedView.LISTS or not kept or len(kept) > 1000:
        raise InvalidInput(field="query", why="there is nothing to keep, or too much")
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two windows at once: one after the other
    mine = views_of(user, page)
    view = mine.filter(name__iexact=name).first() or SavedView(user=user, page=page)
    if view._state.adding and mine.count() >= MOST_VIEWS:
        raise InvalidInput(
            field="name", why=f"you keep {MOST_VIEWS} views of this list already; delete one first"
        )
    view.name, view.query = name, kept
    view.save()
    _record_view(who, "view.saved", view)
    return view


@transaction.atomic
def delete_view(who: Who, user: User, view_id: uuid.UUID) -> SavedView:
    """One of the person's own. Raises NotFound."""
    view = SavedView.objects.filter(user=user, id=view_id).first()
    if view is None:
        raise NotFound(thing="view")
    _record_view(who, "view.deleted", view)
    view.delete()
    return view


def _record_view(who: Who, action: str, view: SavedView) -> None:
    record(
        who,
        action,
        tenant_id=None,
        object_kind="view",
        object_id=view.id,
        object_label=f"{SavedView.LISTS[view.page]}: {view.name}",
    )


def _record(who: Who, action: str, user: User, changes: Changes | None = None) -> None:
    record(
        who,
        action,
        tenant_id=None,
        object_kind="user",
        object_id=user.id,
        object_label=user.email,
        changes=changes,
    )


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInput(field="password", why=" ".join(error.messages)) from error


def _clean_email(email: str, *, but: User | None = None) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise InvalidInput(field="email", why="it is not an email address") from None
    if len(email) > 254:
        raise InvalidInput(field="email", why="it has more than 254 characters")
    proven = EmailAddress.objects.filter(email=email, verified=True).values("user")  # second addresses, too
    others = User.objects.exclude(pk=but.pk) if but else User.objects.all()
    if others.filter(Q(email__iexact=email) | Q(pk__in=proven)).exists():
        raise InvalidInput(field="email", why=KNOWN)
    return email


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if len(name) > 120 or not name.isprintable():
        raise InvalidInput(field="name", why="it needs at most 120 printable characters")
    return name


@transaction.atomic
def create_token(
    who: Who,
    *,
    name: str,
    role: str,
    scopes: list[str],
    tenant_id: uuid.UUID | None,
    networks: list[str],
    lifetime: dt.timedelta,
) -> tuple[ApiToken, str]:
    """The row, and the token itself, which is shown this one time and kept nowhere."""
    public_id = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    value = f"{PREFIX}_{public_id}_{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.create(
        public_id=public_id,
        digest=_digest(value),
        name=name,
        role=role,
        scopes=scopes,
        tenant_id=tenant_id,
        networks=networks,
        created_by=who.label,
        expires_at=timezone.now() + lifetime,
    )
    record(
        who, "token.created", tenant_id=tenant_id, object_kind="token", object_id=token.id, object_label=name
    )
    return token, value


@transaction.atomic
def revoke_token(who: Who, token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    record(
        who,
        "token.revoked",
        tenant_id=token.tenant_id,
        object_kind="token",
        object_id=token.id,
        object_label=token.name,
    )


def token_of(value: str) -> ApiToken | None:
    """The living token with this value, or None. Takes the same time whether the id or the rest is wrong."""
    parts = value.split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX:
        return None
    token = _token(parts[1])
    known = bytes(token.digest) if token else bytes(32)
    fits = hmac.compare_digest(known, _digest(value))
    if token is None or not fits or token.revoked_at or token.expires_at <= timezone.now():
        return None
    return token


def _token(public_id: str) -> ApiToken | None:
    """In SQL, which Django takes ten times as long to write: every call of the API asks for it."""
    with connection.cursor() as cursor:
        cursor.execute(_TOKEN, [public_id])
        row = cursor.fetchone()
    return ApiToken.from_db(connection.alias, _COLUMNS, row) if row else None


_COLUMNS = [field.attname for field in ApiToken._meta.concrete_fields]
_TOKEN = f"SELECT {', '.join(_COLUMNS)} FROM accounts_apitoken WHERE public_id = %s"  # noqa: S608  names of our own


def touch_token(token: ApiToken, address: str | None) -> None:
    """Note the use, at most once a minute: a busy client must not write a row a call."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > dt.timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now, last_used_from=address)


_TURN = """
    UPDATE accounts_apitoken SET busy_until = greatest(busy_until, now()) + %(each)s
      FROM (SELECT set_config('synchronous_commit', 'off', true)) AS unhurried
     WHERE id = %(id)s AND (busy_until IS NULL OR busy_until + %(each)s <= now() + %(most)s)
"""
"""Nobody waits for the disk: what a crash forgets is a second's worth of requests."""
_LEFT = """
    SELECT extract(epoch FROM busy_until + %(each)s - now() - %(most)s) FROM accounts_apitoken WHERE id = %(id)s
"""


def take_turn(token: ApiToken, rate: int) -> float | None:
    """One more request of this token, which may make `rate` a minute: None, or in how many seconds it fits."""
    most = dt.timedelta(minutes=1)
    asked: dict[str, Any] = {"id": token.pk, "each": most / rate, "most": most}
    with connection.cursor() as cursor:
        cursor.execute(_TURN, asked)
        if cursor.rowcount:
            return None
        cursor.execute(_LEFT, asked)
        found = cursor.fetchone()
    return max(0.0, float(found[0])) if found else 0.0


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
