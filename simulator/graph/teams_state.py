"""A tenant's telephony: numbers, who has them, policies, and orders that take their time (facts/microsoft.md 9).

All of it follows from the tenant's users at first sight, so that nothing has to be planted; what is written
afterwards is kept beside it.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from simulator import skus
from simulator.objects import digest, guid_of, stamp

if TYPE_CHECKING:  # a tenant holds one of these
    from simulator.tenant import Tenant

DIRECT, CALLING, CONNECT = "directRouting", "callingPlan", "operatorConnect"
KINDS = (DIRECT, CALLING, CONNECT)
_TEAMS = frozenset(
    {skus.TEAMS1, "9953b155-8aef-4c56-92f3-72b0487fce41", "fd500458-c24c-478e-856c-a6067a8376cd"}
)
_PHONE = frozenset({skus.MCOEV, "db23fce2-a974-42ef-9002-d78dd42a0f22"})
_RESOURCE = frozenset({skus.MCOEV_VIRTUALUSER, "0628a73f-3b4a-4989-bd7b-0f8823144313"})

# Policies that every tenant has: by type, the names that may be assigned. Everybody else has the global one.
POLICIES: dict[str, tuple[str, ...]] = {
    "OnlineVoiceRoutingPolicy": ("Domestic", "International"),
    "TenantDialPlan": ("Head office", "Branches"),
    "TeamsCallingPolicy": ("AllowCalling", "No forwarding"),
    "CallingLineIdentity": ("Main number",),
    "TeamsMeetingPolicy": ("AllOn", "RestrictedAnonymousAccess"),
}
# And of each type as many of these names as anybody asks for: one for each wish of a test.
NUMBERED = re.compile(r"v[0-9]{1,9}", re.ASCII)
_VOICE = frozenset({"OnlineVoiceRoutingPolicy", "TenantDialPlan"})
_COUNTRIES = (("+41", "CH"), ("+44", "GB"), ("+1", "US"))
_FREE_SHARE = 6  # one free number for so many in use, and a few more
_LICENCE = "The user is not licensed for Teams Phone: a Phone System service plan is missing."
_LOCATION = "The usage location of the user is not set."
_TAKEN = "The telephone number is already assigned to another target."
_FOREIGN = "The telephone number was not found in the inventory of the tenant."
_UNKNOWN = "The assignment target was not found in the tenant."
_ADDRESS = "A Calling Plan number needs an emergency location."


def has_policy(kind: str, name: str) -> bool:
    return kind in POLICIES and (name in POLICIES[kind] or NUMBERED.fullmatch(name) is not None)


@dataclasses.dataclass(slots=True)
class Number:
    """A number as Microsoft lists it."""

    number: str
    kind: str
    operator: str
    target: str | None = None
    status: str = "unassigned"
    activation: str = "activated"
    category: str | None = None
    port_in: str | None = None
    capabilities: tuple[str, ...] = ("userAssignment", "voiceApplicationAssignment")
    country: str = "DE"
    city: str | None = None
    location: str | None = None
    site: str | None = None
    lookup: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return base64.urlsafe_b64encode(f"{self.operator}|{self.number}".encode()).decode()

    def row(self) -> dict[str, Any]:
        """As Graph shows it."""
        return {
            "id": self.id,
            "telephoneNumber": self.number,
            "operatorId": self.operator,
            "numberType": self.kind,
            "activationState": self.activation,
            "capabilities": list(self.capabilities),
            "locationId": self.location,
            "civicAddressId": None,
            "networkSiteId": self.site,
            "assignmentTargetId": self.target,
            "assignmentCategory": self.category,
            "portInStatus": self.port_in,
            "assignmentStatus": self.status,
            "isoCountryCode": self.country,
            "city": self.city,
            "numberSource": "online",
            "supportedCustomerActions": ["locationUpdate", *([] if self.kind == DIRECT else ["release"])],
            "reverseNumberLookupOptions": list(self.lookup),
        }


@dataclasses.dataclass(slots=True)
class Order:
    """A long-running operation: accepted at once, done or refused after a few looks at it."""

    id: str
    created: float
    number: str
    kind: str
    target: str | None  # None takes the number back
    category: str
    location: str | None = None
    status: str = "notStarted"
    why: str = ""
    looks: int = 0


class Telephony:
    """Numbers, orders and assigned policies of one tenant. Callers hold the directory's lock."""

    def __init__(self, tenant: Tenant, spec: dict[str, Any]) -> None:
        self._tenant = tenant
        self.kind = str(spec.get("kind", DIRECT))
        self._operator = guid_of(tenant.id, "operator", self.kind)
        self.numbers: dict[str, Number] = {}
        self.orders: dict[str, Order] = {}
        self.granted: dict[tuple[str, str], str | None] = {}  # (user, policy type) -> name, when written here
        self.done: list[dict[str, Any]] = []  # what orders came to, until the history takes it
        self._by_target: dict[str, list[str]] = {}
        self._past: dict[
            str, list[tuple[float, Number | None]]
        ] = {}  # what readers still see, and until when
        self._past_granted: dict[tuple[str, str], list[tuple[float, tuple[bool, str | None]]]] = {}
        self._plant(spec)

    # What readers see while writes are on their way.

    def _until(self, now: float) -> float | None:
        lag = self._tenant.directory.lag
        return now + lag if lag else None

    def _hold(self, number: str, now: float) -> None:
        if (until := self._until(now)) is not None:
            known = self.numbers.get(number)
            seen = None if known is None else dataclasses.replace(known)
            self._past.setdefault(number, []).append((until, seen))

    def seen(self, number: str, now: float) -> Number | None:
        """A number as a reader finds it."""
        for until, past in self._past.get(number, ()):
            if until > now:
                return past
        self._past.pop(number, None)
        return self.numbers.get(number)

    def all_seen(self, now: float) -> list[Number]:
        """Every number a reader finds."""
        if not self._past:
            return list(self.numbers.values())
        return [found for key in list(self.numbers) if (found := self.seen(key, now)) is not None]

    def _seen_of(self, key: str, now: float) -> list[Number]:
        if not self._past:
            return self.numbers_of(key)
        names = dict.fromkeys([*self._by_target.get(key, ()), *self._past])
        found = [self.seen(name, now) for name in names]
        return [one for one in found if one is not None and one.target == key]

    def grant(self, changes: dict[tuple[str, str], str | None], now: float) -> None:
        """Policies by user and type; None takes them away."""
        until = self._until(now)
        for key, name in changes.items():
            if until is not None:
                before = (key in self.granted, self.granted.get(key))
                self._past_granted.setdefault(key, []).append((until, before))
            self.granted[key] = name

    def _granted_seen(self, key: tuple[str, str], now: float) -> tuple[bool, str | None]:
        for until, past in self._past_granted.get(key, ()):
            if until > now:
                return past
        self._past_granted.pop(key, None)
        return key in self.granted, self.granted.get(key)

    def end_lag(self) -> None:
        """Every write reaches every reader at once."""
        self._past.clear()
        self._past_granted.clear()

    # Who may have what.

    def plans(self, user: dict[str, Any]) -> set[str]:
        return {str(plan["servicePlanId"]) for plan in user.get("assignedPlans") or ()}

    def in_teams(self, user: dict[str, Any]) -> bool:
        """Microsoft lists whom Teams knows; resource accounts are not among them (facts 9.1)."""
        return not self.plans(user).isdisjoint(_TEAMS)

    def numbers_of(self, key: str) -> list[Number]:
        return [self.numbers[each] for each in self._by_target.get(key, ())]

    def user_row(self, user: dict[str, Any], now: float) -> dict[str, Any]:
        """`teamsUserConfiguration` of a user, as a reader finds it."""
        plans, key = self.plans(user), str(user["id"])
        held = self._seen_of(key, now)
        features = ["Teams"]
        if not plans.isdisjoint(_PHONE):
            features.append("PhoneSystem")
        if skus.MCOMEETADV in plans:
            features.append("AudioConferencing")
        if any(one.kind == CALLING for one in held):
            features.append("CallingPlan")
        created = str(user.get("createdDateTime") or stamp(self._tenant.created))
        return {
            "id": key,
            "userPrincipalName": user.get("userPrincipalName"),
            "tenantId": self._tenant.id,
            "accountType": "guest" if user.get("userType") == "Guest" else "user",
            "isEnterpriseVoiceEnabled": bool(held) and "PhoneSystem" in features,
            "featureTypes": features,
            "telephoneNumbers": [
                {"telephoneNumber": one.number, "assignmentCategory": one.category or "primary"}
                for one in held
            ],
            "effectivePolicyAssignments": list(self._policies(key, now, voice=bool(held))),
            "createdDateTime": created,
            "modifiedDateTime": created,
        }

    def policy_id(self, kind: str, name: str) -> str:
        if NUMBERED.fullmatch(name):
            return f"{kind}-{name}"
        raw = digest(self._tenant.maker.seed, "policy", kind, name)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def policy_name(self, kind: str, policy_id: str) -> str | None:
        names = (*POLICIES.get(kind, ()), policy_id.removeprefix(f"{kind}-"))
        return next(
            (name for name in names if has_policy(kind, name) and self.policy_id(kind, name) == policy_id),
            None,
        )

    def _policies(self, key: str, now: float, *, voice: bool) -> Iterator[dict[str, Any]]:
        for at, (kind, names) in enumerate(POLICIES.items()):
            raw = digest(self._tenant.maker.seed, "granted", key)[at]
            by_group = raw % 4 == 0
            name = names[raw % len(names)] if (voice if kind in _VOICE else raw < 64) else None
            written, granted = self._granted_seen((key, kind), now)
            if written:
                name, by_group = granted, False
            if name is None:
                continue
            group = guid_of(self._tenant.maker.seed, "group", 0) if by_group else None
            yield {
                "policyType": kind,
                "policyAssignment": {
                    "displayName": name,
                    "assignmentType": "group" if by_group else "direct",
                    "policyId": self.policy_id(kind, name),
                    "groupId": group,
                },
            }

    # What there is from the start.

    def _plant(self, spec: dict[str, Any]) -> None:
        seed, users = self._tenant.maker.seed, self._tenant.directory.users
        wanted: list[tuple[str, str]] = []
        spare: list[str] = []
        for index in range(users.generated):
            held = {plan.id for sku in self._tenant.maker.profile(index) for plan in sku.plans}
            if held.isdisjoint(_PHONE | _RESOURCE):
                continue
            if digest(seed, "number", index)[0] < 192:
                kind = "userAssigned" if not held.isdisjoint(_PHONE) else "voiceApplicationAssigned"
                wanted.append((users.ids[index], kind))
            elif not held.isdisjoint(_PHONE):
                spare.append(users.ids[index])
        free = int(spec.get("free", len(wanted) // _FREE_SHARE + 5))
        digits = int(spec.get("digits", max(3, len(str(len(wanted) + free)))))
        head = str(spec.get("head", f"+4930{int.from_bytes(digest(seed, 'head')[:2], 'big') % 1000:03d}"))
        place = int(spec.get("first", 0))
        for key, status in wanted:
            self._put(f"{head}{place:0{digits}d}", target=key, status=status, category="primary")
            place += 1
        for _ in range(free):
            self._put(f"{head}{place:0{digits}d}")
            place += 1
        if wanted:
            self._oddities(f"{head}{place:0{digits}d}", f"{head}{place + 1:0{digits}d}")
        for number, key in zip(spec.get("extra", ()), spare, strict=False):
            self._put(str(number), target=key, status="userAssigned", category="primary")

    def _oddities(self, conference: str, ported: str) -> None:
        """One number of each kind that cannot be given to anybody."""
        self._put(conference, status="conferenceAssigned", capabilities=("conferenceAssignment",))
        if self.kind != DIRECT:
            self._put(ported, port_in="firmOrderCommitmentAccepted", activation="assignmentPending")

    def _put(self, number: str, **about: Any) -> Number:
        country = next((code for head, code in _COUNTRIES if number.startswith(head)), "DE")
        made = Number(number, self.kind, self._operator, country=country, **about)
        self.numbers[number] = made
        if made.target:
            self._by_target.setdefault(made.target, []).append(number)
        return made

    # Orders.

    def order(
        self, number: str, kind: str, target: str | None, category: str, now: float, location: str | None
    ) -> Order:
        """Accept one; what becomes of it is told when it is looked at."""
        key = guid_of(self._tenant.id, "order", len(self.orders))
        made = Order(key, now, number, kind, target, category, location)
        self.orders[made.id] = made
        return made

    def look(self, order: Order, now: float) -> None:
        """One look: notStarted, running, then the end."""
        order.looks += 1
        self.settle(now)
        if order.status in {"succeeded", "failed"}:
            return
        if order.looks > self._tenant.behaviour.order_looks:
            self._end(order, now)
        elif order.looks > 1:
            order.status = "running"

    def settle(self, now: float) -> None:
        """End the orders that nobody looked at for long enough; who was deleted has no number any more."""
        users = self._tenant.directory.users
        for index in users.removed:
            for number in list(self._by_target.get(users.ids[index], ())):
                self._take(number, now)
        for order in self.orders.values():
            over = now - order.created >= self._tenant.behaviour.order_seconds
            if over and order.status in {"notStarted", "running"}:
                self._end(order, now)

    def _end(self, order: Order, now: float) -> None:
        order.why = self._tenant.behaviour.order_fails or self._why_not(order)
        order.status = "failed" if order.why else "succeeded"
        told = {"order": order.id, "number": order.number, "target": order.target}
        self.done.append({**told, "status": order.status, "why": order.why})
        if order.why:
            return
        if order.target is None:
            self._take(order.number, now)
        else:
            self._give(order, order.target, now)

    def _why_not(self, order: Order) -> str:
        """Why an order comes to nothing; empty when it succeeds."""
        known = self.numbers.get(order.number)
        if order.target is None:
            return "" if known is not None and known.target else "The telephone number is not assigned."
        if known is None and order.kind != DIRECT:
            return _FOREIGN
        if known is not None and known.kind != order.kind:
            return f"The telephone number is of type {known.kind}."
        if known is not None and known.target not in {None, order.target}:
            return _TAKEN
        if known is not None and "userAssignment" not in known.capabilities:
            return "The telephone number cannot be assigned to users."
        if order.kind == CALLING and not (order.location or (known and known.location)):
            return _ADDRESS
        return self._why_not_target(order.target)

    def _why_not_target(self, key: str) -> str:
        users = self._tenant.directory.users
        index = users.find(key)
        if index is None or not users.is_live(index):
            return _UNKNOWN
        user = users.view(index)
        if self.plans(user).isdisjoint(_PHONE | _RESOURCE):
            return _LICENCE
        return "" if user.get("usageLocation") else _LOCATION

    def _give(self, order: Order, target: str, now: float) -> None:
        self._hold(order.number, now)
        found = self.numbers.get(order.number) or self._put(order.number)
        plans = self.plans(self._tenant.directory.users.view(self._index(target)))
        for other in self.numbers_of(target):
            if other is not found and (other.category or "primary") == order.category:
                self._take(other.number, now)  # a user has one number of a category
        found.target, found.category = target, order.category
        found.location = order.location or found.location
        found.status = "userAssigned" if not plans.isdisjoint(_PHONE) else "voiceApplicationAssigned"
        held = self._by_target.setdefault(target, [])
        if order.number not in held:
            held.append(order.number)

    def _index(self, key: str) -> int:
        index = self._tenant.directory.users.find(key)
        assert index is not None  # noqa: S101  looked at before
        return index

    def update(self, number: str, now: float, **changes: Any) -> None:
        """What is known of a number beside who has it."""
        self._hold(number, now)
        for name, value in changes.items():
            setattr(self.numbers[number], name, value)

    def set(self, number: str, target: str | None, now: float) -> Number:
        """What somebody else does in the admin centre: the number is that user's now, or free."""
        if number not in self.numbers:
            self._hold(number, now)
            self._put(number)
        if self.numbers[number].target:
            self._take(number, now)
        if target is not None:
            self._give(Order("", now, number, self.kind, target, "primary"), target, now)
        return self.numbers[number]

    def _take(self, number: str, now: float) -> None:
        self._hold(number, now)
        found = self.numbers[number]
        if found.target:
            self._by_target[found.target].remove(number)
        found.target, found.category, found.status = None, None, "unassigned"


def telephony_of(tenant: Tenant) -> Telephony:
    """Made at first sight. Callers hold the directory's lock."""
    if tenant.telephony is None:
        tenant.telephony = Telephony(tenant, tenant.telephony_spec)
    return tenant.telephony
