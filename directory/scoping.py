"""Whom the CsOnlineUser Filter takes: its terms as SQL over the mirror, and why a user is left out (complaint B 33).

What a term means is said once, as a condition of the database. Who asks about one user or a page of users gets
each term's answer from there, and only puts them together.
"""

import dataclasses
import fnmatch
import functools
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, CharField, Count, ExpressionWrapper, Lookup, Q, QuerySet

from audit.services import record
from core.errors import Conflict, InvalidInput
from directory import browse
from directory.filter_language import (
    OPPOSITE,
    FilterError,
    Node,
    Several,
    Shape,
    Term,
    culprits,
    holds,
    parse,
    terms,
)
from directory.models import LISTED, DirectoryGroup, DirectoryUser, GroupMember, SubscribedSku, UserFilter
from directory.skus import name_of
from tenants.access import Actor
from tenants.models import Tenant
from tenants.written import Written

TITLE = "CsOnlineUser Filter"
MOST_CAUSES = 3
KEPT_VERSIONS = 50


class Wildcard(Lookup):
    """* and ? as in -like, without regard to capitals."""

    lookup_name = "wildcard"

    def get_prep_lookup(self) -> str:
        text = str(self.rhs)
        for sign in "\\%_":
            text = text.replace(sign, f"\\{sign}")
        return text.replace("*", "%").replace("?", "_")

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, params = self.process_lhs(compiler, connection)
        right, more = self.process_rhs(compiler, connection)
        return f"{left} ILIKE {right}", (*params, *more)


CharField.register_lookup(Wildcard)


# --- Reads --------------------------------------------------------------------------------------------------
def in_force(tenant: Tenant) -> UserFilter | None:
    """The newest version; None where nobody ever set one."""
    return _IN_FORCE.sole(tenant.id)


_IN_FORCE = Written(lambda tenant_id: UserFilter.objects.filter(tenant_id=tenant_id).order_by("-number")[:1])


def versions(tenant: Tenant) -> list[UserFilter]:
    return list(UserFilter.objects.filter(tenant=tenant).order_by("-number")[:KEPT_VERSIONS])


def sieve_of(tenant: Tenant) -> "Sieve | None":
    """The filter in force; None where everybody is taken."""
    stored = in_force(tenant)
    return Sieve(tenant, parse(stored.text)) if stored and stored.text else None


def read(text: str) -> Node | None:
    """The tree; None for nothing but blanks. Raises InvalidInput saying what is wrong, and where."""
    if not text.strip():
        return None
    try:
        return parse(text)
    except FilterError as error:
        raise InvalidInput(field="text", why=str(error)) from error


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many users there are, how many are taken, and whom each term finds by itself."""

    everybody: int
    taken: int
    of_terms: tuple[tuple[Term, int], ...]

    @property
    def left_out(self) -> int:
        return self.everybody - self.taken

    @property
    def idle(self) -> list[Term]:
        """Terms that nobody fits: often a name that is misspelt."""
        return [term for term, number in self.of_terms if not number]


class Sieve:
    """A filter, ready for one customer's users."""

    def __init__(self, tenant: Tenant, node: Node) -> None:
        self.tenant, self.node = tenant, node
        self.terms = list(dict.fromkeys(terms(node)))

    @functools.cached_property
    def skus(self) -> list[SubscribedSku]:
        return browse.licences(self.tenant)

    @functools.cached_property
    def taken(self) -> Q:
        """The condition for users whom it takes."""
        return self._node(self.node)

    def counts(self) -> Counts:
        """One pass over the customer's users."""
        asked = {f"t{n}": Count("object_id", filter=self._term(term)) for n, term in enumerate(self.terms)}
        rows = DirectoryUser.objects.filter(tenant=self.tenant).order_by()
        found = rows.aggregate(
            everybody=Count("object_id"), taken=Count("object_id", filter=self.taken), **asked
        )
        each = tuple((term, found[f"t{n}"]) for n, term in enumerate(self.terms))
        return Counts(found["everybody"], found["taken"], each)

    def users(self, *, taken: bool) -> "QuerySet[DirectoryUser]":
        """Those whom it takes, or leaves out, by name."""
        rows: QuerySet[DirectoryUser] = DirectoryUser.objects.filter(LISTED, tenant=self.tenant)
        return rows.filter(self.taken if taken else ~self.taken).order_by("search", "object_id")

    def why_left_out(self, users: Iterable[DirectoryUser]) -> dict[uuid.UUID, str]:
        """A sentence for each of these users whom it leaves out; one query."""
        listed = {one.object_id: one for one in users}
        answers = {
            f"t{n}": ExpressionWrapper(self._term(term), output_field=BooleanField())
            for n, term in enumerate(self.terms)
        }
        rows = DirectoryUser.objects.filter(tenant=self.tenant, object_id__in=listed).order_by()
        found: dict[uuid.UUID, str] = {}
        for row in rows.annotate(**answers).values("object_id", *answers):
            truth = {term: bool(row[f"t{n}"]) for n, term in enumerate(self.terms)}
            if not holds(self.node, truth.__getitem__):
                causes = culprits(self.node, truth.__getitem__)
                found[row["object_id"]] = _sentence(listed[row["object_id"]], causes)
        return found

    # --- SQL ------------------------------------------------------------------------------------------------
    def _node(self, node: Node) -> Q:
        if isinstance(node, Term):
            return self._term(node)
        if not isinstance(node, Several):
            return ~self._node(node.part)
        parts = [self._node(part) for part in node.parts]
        return functools.reduce((lambda a, b: a & b) if node.word == "-and" else (lambda a, b: a | b), parts)

    def _term(self, term: Term) -> Q:
        if term.operator in OPPOSITE:
            return ~self._term(dataclasses.replace(term, operator=OPPOSITE[term.operator]))
        if term.attribute.shape == Shape.FLAG:
            return Q(**{term.attribute.column: term.values[0]})
        values = [str(value) for value in term.values]
        if term.attribute.name == "MemberOf":
            return self._member_of(term.operator, values[0])
        if term.attribute.shape == Shape.SET:
            return Q(sku_ids__overlap=self._sku_ids(term, values[0]))
        if term.attribute.name == "Domain":
            return functools.reduce(lambda a, b: a | b, (_domain(term.operator, value) for value in values))
        lookup = "wildcard" if term.operator == "-like" else "iexact"
        found = (Q(**{f"{term.attribute.column}__{lookup}": value}) for value in values)
        return functools.reduce(lambda a, b: a | b, found)

    def _sku_ids(self, term: Term, value: str) -> list[uuid.UUID]:
        """The customer's licences that fit; there are dozens at most."""
        fits = _glob(value) if term.operator == "-like" else value.casefold().__eq__
        of_plan = term.attribute.name == "AssignedPlan"
        return [
            sku.sku_id
            for sku in self.skus
            if any(fits(name.casefold()) for name in (_plans(sku) if of_plan else _names(sku)))
        ]

    def _member_of(self, operator: str, value: str) -> Q:
        groups = DirectoryGroup.objects.filter(tenant=self.tenant)
        object_id = browse.as_uuid(value)
        if object_id:
            groups = groups.filter(object_id=object_id)
        else:
            groups = groups.filter(
                **{"display_name__wildcard" if operator == "-like" else "display_name__iexact": value}
            )
        members = GroupMember.objects.filter(tenant=self.tenant, group_id__in=groups.values("object_id"))
        return Q(object_id__in=members.values("member_id"))


def _domain(operator: str, value: str) -> Q:
    if operator == "-like":
        return Q(user_principal_name__wildcard=f"*@{value}")
    return Q(user_principal_name__iendswith=f"@{value}")


def _glob(value: str) -> Any:
    pattern = value.casefold().replace("[", "[[]")
    return lambda name: fnmatch.fnmatchcase(name, pattern)


def _names(sku: SubscribedSku) -> list[str]:
    return [sku.part_number, name_of(sku.part_number), str(sku.sku_id)]


def _plans(sku: SubscribedSku) -> list[str]:
    return [str(plan.get("name", "")) for plan in sku.plans if isinstance(plan, dict)]


# --- Words --------------------------------------------------------------------------------------------------
_HAS = {
    "MemberOf": ("it is in such a group", "it is in no such group"),
    "Licence": ("it has such a licence", "it has no such licence"),
    "AssignedPlan": ("one of its licences has such a plan", "none of its licences has such a plan"),
}


def _sentence(one: DirectoryUser, causes: list[tuple[Term, bool]]) -> str:
    told = list(dict.fromkeys(_cause(one, term, wanted) for term, wanted in causes))
    more = len(told) - MOST_CAUSES
    end = f", and for {more} more reason{'' if more == 1 else 's'}" if more > 0 else ""
    return f"Excluded because {'; '.join(told[:MOST_CAUSES])}{end}."


def _cause(one: DirectoryUser, term: Term, wanted: bool) -> str:
    name = term.attribute.name
    verb = "wants" if wanted else "leaves out"
    return (
        f"{_actual(one, term, wanted)}, and the filter {verb} {name} {str(term).removeprefix(name).strip()}"
    )


def _actual(one: DirectoryUser, term: Term, wanted: bool) -> str:
    name = term.attribute.name
    if term.attribute.shape == Shape.FLAG:
        return f"{name} is {'$true' if getattr(one, term.attribute.column) else '$false'}"
    if term.attribute.shape == Shape.SET:
        lacks = wanted != (term.operator in OPPOSITE)
        return _HAS[name][lacks]
    column = term.attribute.column
    value = getattr(one, column) if column else one.user_principal_name.rpartition("@")[2]
    return f"{name} is {value!r}" if value else f"{name} is empty"


# --- Writes -------------------------------------------------------------------------------------------------
@transaction.atomic
def set_filter(actor: Actor, tenant: Tenant, text: str, *, version: int | None = None) -> UserFilter:
    """Another version of the filter; empty takes everybody. The same text again changes nothing.

    `version` is the number that the person looked at; None takes whatever is there. Raises InvalidInput for a text
    that is no filter, Conflict when somebody was faster.
    """
    text = text.strip()
    read(text)
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
    stored = in_force(tenant)
    number, before = (stored.number, stored.text) if stored else (0, "")
    if version is not None and version != number:
        raise Conflict("conflict_version", thing=f"the {TITLE}")
    if stored is not None and before == text:
        return stored
    made: UserFilter = UserFilter.objects.create(
        tenant=tenant, number=number + 1, text=text, set_by=actor.label
    )
    record(
        actor,
        "filter.changed",
        tenant_id=tenant.id,
        object_kind="filter",
        object_id=made.number,
        object_label=f"{TITLE}, version {made.number}",
        changes={TITLE: (before, text)},
    )
    return made
