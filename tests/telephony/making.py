"""Rows of the mirror without a worker: what lists and the API show."""

import uuid
from typing import Any

from django.db.backends.postgresql.psycopg_any import NumericRange
from django.utils import timezone

from directory.models import DirectoryUser
from directory.sync.reading import fold
from sbc.models import Rule, Sbc
from telephony.landing import key, place_of
from telephony.models import PhoneNumber, Stream, TeamsPolicy, TeamsStream, TeamsUser, UserPolicy
from tenants import scope
from tenants.models import Tenant


def add_number(tenant: Tenant, number: str, target: uuid.UUID | None = None, **about: Any) -> PhoneNumber:
    with scope.one(tenant.id):
        return PhoneNumber.objects.create(
            tenant=tenant,
            object_id=key(number),
            number=number,
            place=place_of(number),
            target_id=target,
            search=number,
            **{
                "kind": "directRouting",
                "status": "userAssigned" if target else "unassigned",
                "activation": "activated",
                "capabilities": "userAssignment voiceApplicationAssignment",
                **about,
            },
        )


def add_person(tenant: Tenant, name: str, number: str = "", **about: Any) -> uuid.UUID:
    """In the directory, and as Teams knows him."""
    object_id, address = uuid.uuid4(), f"{fold(name).replace(' ', '.')}@{tenant.domain or 'contoso.example'}"
    with scope.one(tenant.id):
        DirectoryUser.objects.create(
            tenant=tenant,
            object_id=object_id,
            display_name=name,
            user_principal_name=address,
            search=f"{fold(name)} {address}",
        )
        TeamsUser.objects.create(
            tenant=tenant,
            object_id=object_id,
            user_principal_name=address,
            number=number,
            numbers=number,
            search=f"{address} {number}".strip(),
            **{"account_type": "user", "features": "PhoneSystem Teams", "voice": bool(number), **about},
        )
    return object_id


def add_policy(tenant: Tenant, kind: str, name: str, *users: uuid.UUID, source: str = "direct") -> None:
    with scope.one(tenant.id):
        policy = TeamsPolicy.objects.create(
            tenant=tenant,
            object_id=key(kind, name),
            kind=kind,
            name=name,
            policy_id=name,
            search=fold(f"{kind} {name}"),
        )
        for user in users:
            UserPolicy.objects.create(
                tenant=tenant, object_id=key(str(user), kind), user_id=user, policy_id=policy.object_id, kind=kind,
                source=source, search="",
            )  # fmt: skip


def keep_stream(tenant: Tenant, stream: Stream, **about: Any) -> None:
    with scope.one(tenant.id):
        TeamsStream.objects.create(tenant=tenant, stream=stream, **about)


def add_rule(sbc: Sbc, tag: str, span: tuple[int, int], **about: Any) -> Rule:
    """A rule for numbers with a plus; `span` on the line of fifteen digits."""
    return Rule.objects.create(
        sbc=sbc,
        plan="CustDialPlan",
        index=Rule.objects.count(),
        tag=tag,
        span=NumericRange(*span),
        **{"prefix": "+4158", "plus": True, "exact": True, "longest": 15, **about},
    )


def add_sbc(name: str = "sbc1.provider.example") -> Sbc:
    return Sbc.objects.create(name=name, address="192.0.2.1", user="ump", rules_read_at=timezone.now())
