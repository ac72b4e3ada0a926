"""Why is it not here? What an empty list says instead of nothing (complaints B 27 and 33)."""

import dataclasses
from collections.abc import Iterator

from django.http import QueryDict

from directory import browse
from directory.browse import Age
from directory.models import DirectoryGroup, DirectoryUser, GroupMember, Stream
from replication.models import OPEN, State
from tenants.models import Tenant
from tenants.selectors import access_of
from tenants.tables import without


@dataclasses.dataclass(frozen=True)
class Reason:
    """One cause, in a sentence, with where to go; `tone` as in the style guide."""

    tone: str
    text: str
    url: str = ""
    label: str = ""


def reasons(
    tenant: Tenant, stream: Stream, search: str, params: QueryDict, age: Age, may: bool
) -> list[Reason]:
    """Most telling first; never empty. `may`: whether this person may start a replication."""
    found = [*_copy(tenant, stream, age)]
    if search:
        found = [*_hidden(tenant, stream, search, params), *_elsewhere(tenant, stream, search), *found]
        if age.at is not None:
            found.append(_young(tenant, may))
    return found or [Reason("info", f"Microsoft has no {Stream(stream).label.lower()} for this customer.")]


def _copy(tenant: Tenant, stream: Stream, age: Age) -> Iterator[Reason]:
    """What keeps the copy from being whole."""
    base = f"/tenants/{tenant.id}/"
    connection = access_of(tenant)
    if connection is None:
        yield Reason(
            "warn",
            "The portal has no connection to this customer's tenant yet.",
            f"{base}connection/",
            "Connect",
        )
    elif not connection.usable:
        text = (
            connection.problem_message
            or "The connection has not been checked successfully, so nothing is read."
        )
        yield Reason("warn", text, f"{base}connection/", "See the connection")
    if tenant.paused_at or not tenant.enabled:
        yield Reason(
            "warn",
            "This customer is paused or disabled: its copy is not brought up to date.",
            base,
            "Overview",
        )
    latest = age.latest
    if latest is not None and latest.state == State.SUSPENDED:
        text = f"The replication waits for a person. {latest.message}".strip()
        yield Reason("warn", text, f"{base}commands/{latest.id}/", "See what is needed")
    elif latest is not None and latest.state in OPEN:
        doing = (
            "is running or waits for its turn" if age.at else "is on its way: rows appear as they are read"
        )
        yield Reason("info", f"A replication {doing}.", f"{base}commands/{latest.id}/", "Follow it")
    elif age.at is None:
        text = f"{Stream(stream).label} have never been read from Microsoft."
        yield Reason("info", text, f"{base}queue/", "Go to the queue")
    error = age.stream.error if age.stream else None
    if error:
        yield Reason(
            "warn",
            f"The last read failed: {error.get('message', 'no reason was given')}",
            f"{base}queue/",
            "Queue",
        )


def _hidden(tenant: Tenant, stream: Stream, search: str, params: QueryDict) -> Iterator[Reason]:
    """Excluded because of a filter."""
    filters = [
        name
        for name in ("licence", "enabled", "department", "type", "scope", "kind", "dynamic")
        if params.get(name)
    ]
    if not filters:
        return
    rows = (
        browse.users(tenant, search=search)
        if stream == Stream.USERS
        else browse.groups(tenant, search=search)
    )
    number = rows.count()
    if number:
        noun, them = ("entry matches", "it") if number == 1 else ("entries match", "them")
        text = f"{number:,} {noun} the search, but your filters leave {them} out."
        yield Reason("warn", text, without(params, *filters), "Search without filters")


def _elsewhere(tenant: Tenant, stream: Stream, search: str) -> Iterator[Reason]:
    """It is here, but as something else."""
    base = f"/tenants/{tenant.id}/"
    if stream == Stream.USERS:
        hit = DirectoryGroup.objects.filter(tenant=tenant).filter(browse.matching(search)).first()
        if hit is not None:
            yield Reason(
                "info",
                f"There is a group of that name: {hit}.",
                f"{base}groups/{hit.object_id}/",
                "Open the group",
            )
    else:
        person = DirectoryUser.objects.filter(tenant=tenant).filter(browse.matching(search)).first()
        if person is not None:
            yield Reason(
                "info",
                f"There is a user of that name: {person}.",
                f"{base}users/{person.object_id}/",
                "Open the user",
            )
    yield from _member(tenant, search)
    yield from _domain(tenant, stream, search)


def _member(tenant: Tenant, search: str) -> Iterator[Reason]:
    object_id = browse.as_uuid(search)
    if object_id is None:
        return
    member = GroupMember.objects.filter(tenant=tenant, member_id=object_id).first()
    if member is not None:
        word = member.get_member_type_display().lower()
        yield Reason(
            "info",
            f"An object with this id ({word}) is a member of a group, but is not in the copy: it is new, was "
            "deleted, or is neither a user nor a group.",
            f"/tenants/{tenant.id}/groups/{member.group_id}/",
            "Open the group",
        )


def _domain(tenant: Tenant, stream: Stream, search: str) -> Iterator[Reason]:
    """An address in a domain that nobody here has is probably another customer's."""
    domain = search.rpartition("@")[2].lower() if "@" in search else ""
    if stream != Stream.USERS or not domain:
        return
    if not DirectoryUser.objects.filter(tenant=tenant, search__contains=f"@{domain}").exists():
        yield Reason("warn", f"Nobody of this customer has an address in {domain}: is it another customer's?")


def _young(tenant: Tenant, may: bool) -> Reason:
    return Reason(
        "info",
        "Whoever was created at Microsoft after the last replication arrives with the next one; whoever was deleted "
        "there is no longer shown.",
        f"/tenants/{tenant.id}/queue-replication/" if may else "",
        "Queue Replication",
    )
