"""The copy of a customer's Microsoft 365: users, groups, members and licences, with the age of what is shown."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.paginator import Page
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from directory import browse, diagnosis, scoping
from directory.models import DirectoryGroup, DirectoryUser, GroupMember, MemberType, Stream, SubscribedSku
from directory.skus import name_of
from replication import words as queue_words
from tenants import selectors, tables
from tenants.abilities import Ability
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

YES_NO = [("yes", "Yes"), ("no", "No")]
USER_COLUMNS = {
    "name": ["search", "object_id"],
    "department": ["department", "search", "object_id"],
    "enabled": ["account_enabled", "search", "object_id"],
    "type": ["user_type", "search", "object_id"],
    "changed": ["changed_at", "object_id"],
}
GROUP_COLUMNS = {"name": ["search", "object_id"], "changed": ["changed_at", "object_id"]}
SHOWN_GROUPS = 200


# --- Users --------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def users(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    skus, sieve = browse.licences(tenant), scoping.sieve_of(tenant)
    shown = _user_filters(request, tenant, skus, sieve)
    sort, order = tables.order_of(request.GET, USER_COLUMNS, "name")
    found: Any = browse.users_in_order(tenant, order, search=tables.search_of(request.GET))
    if tables.narrows(request.GET, "q"):
        found = _users(request, tenant, skus, sieve).order_by(*order)
    page = tables.page_of(request.GET, found, bounded=False)
    words, left_out = browse.licence_words(skus), sieve.why_left_out(page) if sieve else {}
    rows = [
        {
            "user": one,
            "licences": browse.licences_of(one, words),
            "left_out": left_out.get(one.object_id, ""),
        }
        for one in page
    ]
    context = {
        "rows": rows,
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "filtered": sieve is not None,
    }
    return render(request, "directory/users.html", context | _list(request, tenant, Stream.USERS, page))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def users_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    skus, sieve = browse.licences(tenant), scoping.sieve_of(tenant)
    words = browse.licence_words(skus)
    batches = tables.in_batches(_users(request, tenant, skus, sieve), _behind)
    head = ("Name", "User principal name", "Email", "Department", "Job title", "Licences", "SKU part numbers",
            "Enabled", "Type", "Created", "Changed", "Object id")  # fmt: skip
    return tables.csv_answer("users", head, ([_user_cells(one, words) for one in batch] for batch in batches))


def wanted_users(request: HttpRequest, tenant: Tenant) -> QuerySet[DirectoryUser]:
    """The users that the list's address asks for: what "all that match" means."""
    return _users(request, tenant, browse.licences(tenant), scoping.sieve_of(tenant))


def _users(
    request: HttpRequest, tenant: Tenant, skus: list[SubscribedSku], sieve: scoping.Sieve | None
) -> QuerySet[DirectoryUser]:
    params = request.GET
    found = browse.users(
        tenant,
        search=tables.search_of(params),
        licence=tables.choice_of(params, "licence", ["none", *(str(sku.sku_id) for sku in skus)]),
        enabled=tables.choice_of(params, "enabled", ["yes", "no"]),
        department=params.get("department", "").replace("\0", ""),
        kind=tables.choice_of(params, "type", ["Member", "Guest"]),
    )
    asked = tables.choice_of(params, "scope", ["in", "out"]) if sieve else ""
    if sieve is None or not asked:
        return found
    return found.filter(sieve.taken if asked == "in" else ~sieve.taken)


def _user_filters(
    request: HttpRequest, tenant: Tenant, skus: list[SubscribedSku], sieve: scoping.Sieve | None
) -> list[dict[str, Any]]:
    names = sorted((str(sku.sku_id), f"{name_of(sku.part_number)} ({sku.part_number})") for sku in skus)
    licence = [("none", "No licence"), *sorted(names, key=lambda pair: pair[1])]
    departments = [(name, name) for name in browse.departments(tenant)]
    return tables.filters(
        request.GET,
        {
            "licence": ("Licence", licence),
            "enabled": ("Enabled", YES_NO),
            "department": ("Department", departments),
            "type": ("Type", [("Member", "Member"), ("Guest", "Guest")]),
        }
        | ({"scope": ("Teams download", [("in", "In scope"), ("out", "Left out")])} if sieve else {}),
    )


def _user_cells(one: DirectoryUser, words: dict[uuid.UUID, browse.Licence]) -> list[object]:
    licences = browse.licences_of(one, words)
    return [
        one.display_name,
        one.user_principal_name,
        one.mail,
        one.department,
        one.job_title,
        "; ".join(each.name for each in licences),
        "; ".join(each.part_number for each in licences),
        "yes" if one.account_enabled else "no",
        one.user_type,
        one.created_at,
        one.changed_at,
        one.object_id,
    ]


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def user(request: HttpRequest, tenant: Tenant, object_id: uuid.UUID) -> HttpResponse:
    one, sieve = browse.user(tenant, object_id), scoping.sieve_of(tenant)
    found = list(browse.groups_of(tenant, object_id)[: SHOWN_GROUPS + 1])
    context = {
        "tenant": tenant,
        "user_shown": one,
        "licences": browse.licences_of(one, browse.licence_words(browse.licences(tenant))),
        "groups": found[:SHOWN_GROUPS],
        "more_groups": len(found) > SHOWN_GROUPS,
        "sections": _user_facts(one),
        "filtered": sieve is not None,
        "left_out": sieve.why_left_out([one]).get(object_id, "") if sieve else "",
        **_freshness(request, tenant, Stream.USERS),
    }
    return render(request, "directory/user.html", context)


def _user_facts(one: DirectoryUser) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Every attribute that is kept, in words."""
    return [
        (
            "Account",
            [
                ("Object id", one.object_id),
                ("User principal name", one.user_principal_name),
                ("Email", one.mail),
                ("Type", one.user_type),
                ("Comes from", "an on-premises directory" if one.on_premises else "Microsoft 365"),
                ("Usage location", one.usage_location),
            ],
        ),
        (
            "Person",
            [
                ("Given name", one.given_name),
                ("Surname", one.surname),
                ("Job title", one.job_title),
                ("Department", one.department),
                ("Company", one.company_name),
                ("Office", one.office_location),
                ("City", one.city),
                ("Country", one.country),
                ("Business phones", one.business_phones),
                ("Mobile phone", one.mobile_phone),
            ],
        ),
    ]


# --- Groups -------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def groups(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    choices = {
        "kind": ("Kind", [(name, name) for name in browse.GROUP_KINDS]),
        "dynamic": ("Dynamic", YES_NO),
    }
    shown = tables.filters(request.GET, choices)
    sort, order = tables.order_of(request.GET, GROUP_COLUMNS, "name")
    page = tables.page_of(request.GET, _groups(request, tenant).order_by(*order), bounded=False)
    counts = browse.member_counts(tenant, page)
    rows = [{"group": one, "members": counts.get(one.object_id, 0)} for one in page]
    context = {"rows": rows, "sort": sort, "filters": shown, "chips": tables.chips(request.GET, shown)}
    return render(request, "directory/groups.html", context | _list(request, tenant, Stream.GROUPS, page))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def groups_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    batches = tables.in_batches(_groups(request, tenant), _behind)
    head = ("Name", "Email", "Kind", "Dynamic", "Description", "Created", "Changed", "Object id")
    return tables.csv_answer("groups", head, ([_group_cells(one) for one in batch] for batch in batches))


def _groups(request: HttpRequest, tenant: Tenant) -> QuerySet[DirectoryGroup]:
    params = request.GET
    return browse.groups(
        tenant,
        search=tables.search_of(params),
        kind=tables.choice_of(params, "kind", browse.GROUP_KINDS),
        dynamic=tables.choice_of(params, "dynamic", ["yes", "no"]),
    )


def _group_cells(one: DirectoryGroup) -> list[object]:
    dynamic = "yes" if one.dynamic else "no"
    return [
        one.display_name, one.mail, one.kind, dynamic, one.description, one.created_at, one.changed_at, one.object_id
    ]  # fmt: skip


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def group(request: HttpRequest, tenant: Tenant, object_id: uuid.UUID) -> HttpResponse:
    """A group and its direct members."""
    one = browse.group(tenant, object_id)
    search = tables.search_of(request.GET)
    page = tables.page_of(request.GET, browse.members(tenant, object_id, search=search), bounded=False)
    context = {
        "tenant": tenant,
        "group_shown": one,
        "page": page,
        "rows": _members(tenant, page),
        "search": search,
        "facts": _group_facts(one),
        "base": f"/tenants/{tenant.id}/groups/{object_id}/",
        **_freshness(request, tenant, Stream.GROUPS),
    }
    return render(request, "directory/group.html", context)


def _group_facts(one: DirectoryGroup) -> list[tuple[str, Any]]:
    return [
        ("Object id", one.object_id),
        ("Kind", one.kind),
        ("Membership", "by a rule" if one.dynamic else "by hand"),
        ("Rule", one.membership_rule or ("not set" if one.dynamic else "none, members are chosen by hand")),
        ("Email", one.mail),
        ("Description", one.description),
        ("Visibility", one.visibility),
        ("Comes from", "an on-premises directory" if one.on_premises else "Microsoft 365"),
    ]


def _members(tenant: Tenant, page: Iterable[DirectoryUser | GroupMember]) -> list[dict[str, Any]]:
    """Each with a name and where it leads, or the words for why it has none."""
    listed = list(page)
    names = browse.group_names(tenant, [each for each in listed if isinstance(each, GroupMember)])
    return [
        _user_row(tenant, each) if isinstance(each, DirectoryUser) else _other_row(tenant, each, names)
        for each in listed
    ]


def _user_row(tenant: Tenant, one: DirectoryUser) -> dict[str, Any]:
    url = f"/tenants/{tenant.id}/users/{one.object_id}/"
    return {"id": one.object_id, "name": str(one), "note": one.user_principal_name, "url": url, "kind": "User",
            "enabled": one.account_enabled}  # fmt: skip


def _other_row(tenant: Tenant, one: GroupMember, names: dict[uuid.UUID, str]) -> dict[str, Any]:
    kind = dict(MemberType.choices).get(one.member_type, one.member_type)
    if one.member_id in names:
        url = f"/tenants/{tenant.id}/groups/{one.member_id}/"
        return {
            "id": one.member_id,
            "name": names[one.member_id],
            "url": url,
            "kind": "Group",
            "enabled": None,
        }
    kept = one.member_type in {MemberType.USER, MemberType.GROUP, MemberType.UNKNOWN}
    why = (
        "It arrives with a later replication, or was deleted at Microsoft."
        if kept
        else "The copy holds users and groups only."
    )
    return {"id": one.member_id, "name": "", "note": why, "url": "", "kind": kind, "enabled": None}


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def members_csv(request: HttpRequest, tenant: Tenant, object_id: uuid.UUID) -> HttpResponseBase:
    browse.group(tenant, object_id)
    listed = browse.members(tenant, object_id, search=tables.search_of(request.GET))
    head = ("Name", "User principal name", "Type", "Object id")
    return tables.csv_answer(f"members-{object_id}", head, _member_lines(tenant, listed))


def _member_lines(tenant: Tenant, listed: tables.Chain) -> Iterator[list[list[object]]]:
    people = tables.in_batches(listed.first, _behind)
    others = tables.in_batches(listed.last, _member_behind)

    def walk() -> Iterator[list[list[object]]]:
        for batch in people:
            yield [[one.display_name, one.user_principal_name, "User", one.object_id] for one in batch]
        for rest in others:
            yield [["", "", one.get_member_type_display(), one.member_id] for one in rest]

    return walk()


# --- Licences -----------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def licences(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    rows = [
        {"sku": sku, "name": name_of(sku.part_number), "total": sku.enabled + sku.warning}
        for sku in _skus(request, tenant)
    ]
    context = {
        "tenant": tenant,
        "rows": rows,
        "base": f"/tenants/{tenant.id}/licences/",
        **_freshness(request, tenant, Stream.LICENCES),
    }
    if not rows:
        context["reasons"] = _reasons(request, tenant, Stream.LICENCES, context)
    return render(request, "directory/licences.html", context)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def licences_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    head = ("Licence", "SKU part number", "Status", "Total", "Used", "Free", "SKU id")
    lines: list[list[object]] = [
        [
            name_of(s.part_number),
            s.part_number,
            s.capability_status,
            s.enabled + s.warning,
            s.consumed,
            s.free,
            s.sku_id,
        ]
        for s in _skus(request, tenant)
    ]
    return tables.csv_answer("licences", head, iter([lines]))


LICENCE_KEYS: dict[str, Any] = {
    "name": lambda sku: name_of(sku.part_number).lower(),
    "part": lambda sku: sku.part_number,
    "status": lambda sku: sku.capability_status,
    "total": lambda sku: sku.enabled + sku.warning,
    "used": lambda sku: sku.consumed,
    "free": lambda sku: sku.free,
}


def _skus(request: HttpRequest, tenant: Tenant) -> list[SubscribedSku]:
    """A customer has some dozens of products at most, so they are sorted here."""
    sort, _ = tables.order_of(request.GET, {name: [name] for name in LICENCE_KEYS}, "name")
    key = LICENCE_KEYS[sort.removeprefix("-")]
    return sorted(browse.licences(tenant), key=key, reverse=sort.startswith("-"))


# --- Parts --------------------------------------------------------------------------------------------------
def _list(request: HttpRequest, tenant: Tenant, stream: Stream, page: Page[Any]) -> dict[str, Any]:
    fresh = _freshness(request, tenant, stream)
    reasons = [] if page.object_list else _reasons(request, tenant, stream, fresh)
    return {
        "tenant": tenant,
        "page": page,
        "base": request.path,
        "search": tables.search_of(request.GET),
        "reasons": reasons,
        **fresh,
    }


def _reasons(
    request: HttpRequest, tenant: Tenant, stream: Stream, fresh: dict[str, Any]
) -> list[diagnosis.Reason]:
    search = "" if stream == Stream.LICENCES else tables.search_of(request.GET)
    return diagnosis.reasons(tenant, stream, search, request.GET, fresh["age"], fresh["may_replicate"])


def _freshness(request: HttpRequest, tenant: Tenant, stream: Stream) -> dict[str, Any]:
    """How old the copy is, the last replication, and whether this person may start another."""
    age = browse.age(tenant, stream)
    may = actor_of(request).may(Ability.REPLICATE, tenant.id)
    why_unread = selectors.why_unread(tenant, selectors.access_of(tenant))
    return {
        "age": age,
        "latest": queue_words.named(age.latest) if age.latest else None,
        "may_replicate": may and not why_unread,
        "why_unread": why_unread if may else "",
    }


def _behind(last: DirectoryUser | DirectoryGroup) -> Q:
    return Q(search__gt=last.search) | Q(search=last.search, object_id__gt=last.object_id)


def _member_behind(last: GroupMember) -> Q:
    return Q(member_type__gt=last.member_type) | Q(member_type=last.member_type, member_id__gt=last.member_id)
