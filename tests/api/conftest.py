"""API clients of every kind, and commands and directory rows to look at."""

import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts import installation
from accounts.services import create_token
from directory.models import DirectoryGroup, DirectoryUser, GroupMember, MemberType, SubscribedSku
from replication import services as queue
from replication.models import Command
from tenants import scope
from tenants.abilities import ABILITIES, Ability, Role
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast

V1 = "/api/v1"
SKU = uuid.UUID("e43b5b99-8dfb-405f-9987-dc307f34bcbd")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back, with its JSON."""

    status: int
    json: Any
    headers: Any
    text: str

    @property
    def code(self) -> str:
        """Of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json", self.text
        assert self.json["status"] == self.status
        return str(self.json["code"])

    @property
    def fields(self) -> set[str]:
        return {row["field"] for row in self.json.get("errors", [])}


class Api:
    """A client with one token; paths are below /api/v1 unless they begin with /."""

    def __init__(self, value: str, *, address: str = "127.0.0.1") -> None:
        self.value = value
        self.client = Client(raise_request_exception=False, REMOTE_ADDR=address)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        whole = path if path.startswith(("/", "http")) else f"{V1}/{path}"
        sent = {"Authorization": f"Bearer {self.value}"} if self.value else {}
        raw = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        answer = self.client.generic(
            method,
            whole,
            raw,
            content_type="application/json",
            headers={**sent, **{name.replace("_", "-"): text for name, text in headers.items()}},
        )
        text = answer.content.decode()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return Answer(answer.status_code, json.loads(text) if is_json else None, answer.headers, text)

    def get(self, path: str, **headers: str) -> Answer:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self("PATCH", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self("PUT", path, body, **headers)

    def delete(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self("DELETE", path, body, **headers)


TokenMaker = Callable[..., str]
ApiMaker = Callable[..., Api]


def make_token(
    role: Role = Role.PROVIDER_ADMIN,
    tenant: Tenant | None = None,
    *,
    scopes: Iterable[Ability] | None = None,
    networks: Iterable[str] = (),
    lifetime: dt.timedelta = dt.timedelta(hours=1),
) -> str:
    _, value = create_token(
        SYSTEM,
        name=f"Client {role}",
        role=role,
        scopes=sorted(ABILITIES[role] if scopes is None else scopes),
        tenant_id=tenant.id if tenant else None,
        networks=list(networks),
        lifetime=lifetime,
    )
    return value


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Rates and settings of one test are nobody else's."""
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def api_of(cast: Cast) -> ApiMaker:
    cache.clear()

    def make(role: Role = Role.PROVIDER_ADMIN, tenant: Tenant | None = None, **kwargs: Any) -> Api:
        address = kwargs.pop("address", "127.0.0.1")
        return Api(make_token(role, tenant, **kwargs), address=address)

    return make


@pytest.fixture
def api(api_of: ApiMaker) -> Api:
    """A provider administrator's client."""
    return api_of()


@pytest.fixture
def nobody(cast: Cast) -> Api:
    return Api("")


@pytest.fixture
def command(cast: Cast) -> Command:
    """A queued replication of Contoso."""
    with scope.one(cast.contoso.id):
        return queue.submit(SYSTEM, "verify_credentials", cast.contoso)


def add_user(tenant: Tenant, name: str, **fields: Any) -> DirectoryUser:
    with scope.one(tenant.id):
        return DirectoryUser.objects.create(
            tenant_id=tenant.id,
            object_id=uuid.uuid5(tenant.id, name),
            display_name=name,
            user_principal_name=f"{name.lower().replace(' ', '.')}@{tenant.domain}",
            search=name.lower(),
            **fields,
        )


def add_group(tenant: Tenant, name: str, members: Iterable[DirectoryUser] = ()) -> DirectoryGroup:
    with scope.one(tenant.id):
        group = DirectoryGroup.objects.create(
            tenant_id=tenant.id,
            object_id=uuid.uuid5(tenant.id, name),
            display_name=name,
            search=name.lower(),
            security_enabled=True,
        )
        GroupMember.objects.bulk_create(
            GroupMember(
                tenant_id=tenant.id,
                group_id=group.object_id,
                member_id=member.object_id,
                member_type=MemberType.USER,
            )
            for member in members
        )
        return group


def add_sku(tenant: Tenant, part_number: str = "MCOEV", sku_id: uuid.UUID = SKU) -> None:
    with scope.one(tenant.id):
        SubscribedSku.objects.create(
            tenant_id=tenant.id, sku_id=sku_id, part_number=part_number, enabled=10, consumed=4
        )
