"""Reads about people: who they are and how they sign in. What each may do is asked of `tenants`."""

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from accounts.models import Session, User


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
