"""Reads about people: who they are and how they sign in. What each may do is asked of `tenants`."""

import uuid

from allauth.mfa.models import Authenticator
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.http import QueryDict

from accounts.models import SavedView, Session, User
from core.errors import NotFound


def people(*, search: str = "", active: bool | None = None, factor: bool | None = None) -> QuerySet[User]:
    """People by name, each with `has_factor`; narrowed to active ones and those with a second factor if asked."""
    found = with_factor(User.objects.order_by("name", "email", "id"))
    if search:
        found = found.filter(Q(name__icontains=search) | Q(email__icontains=search))
    if active is not None:
        found = found.filter(is_active=active)
    if factor is None:
        return found
    return found.filter(_factor()) if factor else found.exclude(_factor())


def person_with(email: str) -> User:
    """Whose sign-in name it is. Raises NotFound."""
    found: User | None = User.objects.filter(email__iexact=email.strip()).first()
    if found is None:
        raise NotFound(thing=f"person with the address {email!r}")
    return found


def with_factor(users: QuerySet[User]) -> QuerySet[User]:
    return users.annotate(has_factor=_factor())


def _factor() -> Exists:
    """Recovery codes are no factor of their own: they stand in for one."""
    own = Authenticator.objects.filter(user=OuterRef("pk"))
    return Exists(own.exclude(type=Authenticator.Type.RECOVERY_CODES))


def sessions_of(user: User) -> QuerySet[Session]:
    """Where the person is signed in now, the latest used first."""
    living = Session.objects.filter(user=user, auth_hash=user.get_session_auth_hash(), expire_date__gt=Now())
    return living.order_by("-last_used_at", "session_key")


def views_of(user: User, page: str) -> QuerySet[SavedView]:
    """The person's own views of a list (a key of SavedView.LISTS), by name."""
    return SavedView.objects.filter(user=user, page=page)


def views_beside(user: User, page: str) -> list[tuple[uuid.UUID, str, str]]:
    """As `views_of`, for the list itself: (id, name, query) of each; in SQL, because it asks each time."""
    sql = "SELECT id, name, query FROM accounts_savedview WHERE user_id = %s AND page = %s ORDER BY name, id"
    with connection.cursor() as cursor:
        cursor.execute(sql, [user.pk, page])
        return list(cursor.fetchall())


def as_view(query: QueryDict) -> str:
    """What of an address is a view: everything but the page, in an order that makes equal ones equal."""
    kept = QueryDict(mutable=True)
    for name in sorted(query):
        values = [value for value in query.getlist(name) if value]
        if values and name != "page":
            kept.setlist(name, values)
    return kept.urlencode()
