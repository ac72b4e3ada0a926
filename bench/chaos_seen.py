"""What was seen of a run under fire, when all was quiet: both ends of every customer, and what lies between them."""

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.chaos_ground import Ground
from bench.chaos_history import Change, Effect, End, History
from bench.chaos_lives import Lives
from bench.chaos_load import NUMBERS, Load, Tenant


def remember(ground: Ground, load: Load, lives: Lives, history: History) -> None:
    history.over = time.time()
    uid_of = {tenant.far["tenant_id"]: tenant.uid for tenant in load.tenants}
    canaries = {tenant.far["canary"]: tenant.uid for tenant in load.tenants}
    history.moves, history.lanes, history.lives = ground.moves(), ground.lane_rows(), lives.found
    history.writes = [
        type(write)(**{**vars(write), "canary": canaries.get(write.canary, write.canary)})
        for write in ground.writes()
    ]
    history.received = list(ground.webhook.received)
    history.events = [row[0] for row in ground.sql("SELECT id FROM events_event ORDER BY id")]
    history.audited = dict(
        ground.sql(
            "SELECT c.id, (SELECT count(*) FROM audit_entry e WHERE e.object_kind = 'command'"
            " AND e.object_id = c.id::text AND e.action = 'command.queued')"
            " FROM replication_command c WHERE c.actor_kind = 'client'"
        )
    )
    history.effects = [*effects(ground, load, uid_of)]
    history.changes = changes(ground, load)
    mails = defaultdict(set)
    for mail in pages(ground, "/mail/ledger?", "ledger", "id"):
        identity = mail["message_id"]
        mails[identity.strip("<>").split("@")[0].rpartition("-")[0]].add(identity)
    history.ends = [end_of(ground, tenant, mails) for tenant in load.tenants]
    secret_words = {app["secret"] for one in load.tenants for app in one.far["apps"]}
    names = {word for one in load.tenants for word in (one.far["tenant_id"], one.uid, one.far["name"])}
    history.leaks = ground.redis.leaks(secret_words | names)


def pages(ground: Ground, path: str, name: str, number: str) -> Iterator[dict[str, Any]]:
    """A list of the simulator's, from its beginning; the first of them must still be there."""
    last = 0
    while rows := ground.microsoft.control("GET", f"{path}since={last}&limit=1000")[name]:
        assert rows[0][number] == last + 1, f"{path} has forgotten what came before {rows[0][number]}"
        yield from rows
        last = rows[-1][number]


def effects(ground: Ground, load: Load, uid_of: dict[str, str]) -> Iterator[Effect]:
    """What came to Microsoft by others than the customer's own app, and what of changes was carried out there."""
    own = {one.far["tenant_id"]: {app["client_id"] for app in one.far["apps"]} for one in load.tenants}
    for row in pages(ground, "/history?", "history", "seq"):
        tenant = uid_of.get(row.get("tenant") or "", "")
        if row["kind"] == "number" and row["status"] == "succeeded" and row["number"].startswith(NUMBERS):
            version = int(row["number"].removeprefix(NUMBERS))
            key = Change(tenant, row["target"] or "", "number", version).key
            yield Effect(tenant, "number", key, row["order"], version)
        if row["kind"] == "write":
            if row["app"] not in own.get(row["tenant"], ()):
                yield Effect(tenant, "foreign", f"{row['method']} {row['path']} by {row['app']}", "")
            yield from department(tenant, row)
            yield from policies(tenant, row)


def department(tenant: str, row: dict[str, Any]) -> Iterator[Effect]:
    """A write that gave a user the department of a wish, if it is one and Microsoft carried it out."""
    body = row["body"] if isinstance(row["body"], dict) else {}
    value = str(body.get("department", ""))
    if row["method"] == "PATCH" and (row["status"] or 0) // 100 == 2 and value[:1] == "d":
        user, version = row["path"].rpartition("/")[2], int(value[1:])
        key = Change(tenant, user, "user:department", version).key
        yield Effect(tenant, "user:department", key, str(row["seq"]), version)


def policies(tenant: str, row: dict[str, Any]) -> Iterator[Effect]:
    """A write that gave users the policies of wishes: all of them, or none."""
    if row["path"].endswith("/policy/userAssignments/assign") and (row["status"] or 0) // 100 == 2:
        for wish in row["body"]["value"]:
            what, version = f"policy:{wish['policyType']}", version_of(wish["policyId"].rpartition("-")[2])
            key = Change(tenant, wish["userId"], what, version).key
            yield Effect(tenant, what, key, f"{row['seq']}", version)


def changes(ground: Ground, load: Load) -> list[Change]:
    """What the portal says of each change, and those that it promised and knows nothing of."""
    rows = ground.sql(
        "SELECT c.tenant_id::text, c.subject_id::text, c.aspect,"
        " coalesce(c.wanted ->> 'number', c.wanted ->> 'name', c.wanted #>> '{}'),"
        " c.state, EXISTS (SELECT FROM provisioning_line l WHERE l.change_id = c.id AND l.state = 'done'"
        " AND l.act <> 'nothing'), coalesce(c.problem ->> 'code', '') FROM provisioning_change c ORDER BY c.id"
    )
    known = {
        (uid, user, what, version): Change(uid, user, what, version, *end)
        for uid, user, what, wanted, *end in rows
        for version in [int(wanted.removeprefix(NUMBERS).lstrip("dv"))]
    }
    promised = {(one.tenant, one.user, one.what, one.version): one for one in load.kept}
    return [*({**promised, **known}.values())]


def end_of(ground: Ground, tenant: Tenant, mails: dict[str, set[str]]) -> End:
    """One customer at both ends, when all was quiet."""
    control, here = ground.microsoft.control, f"/tenants/{tenant.far['tenant_id']}"
    users = [row for row in control("GET", f"{here}/users?limit=5000")["users"] if row["state"] == "live"]
    rows = ground.sql(
        "SELECT object_id::text, job_title FROM directory_user WHERE tenant_id = %s", tenant.uid
    )
    far = control("GET", here)
    outside = {
        "secret": far["apps"][0]["secret_ids"],
        "domain": [name for name in far["domains"] if name.endswith(".sbc.provider.example")],
        "activation user": [row["id"] for row in users if "sbc.provider.example" in row["userPrincipalName"]],
        "mail": sorted(mails.get(f"invitation-{tenant.invitation}", set())),
    }
    believed = believed_of(ground, tenant)
    if not tenant.renewed:  # it is the one that the customer made, whose number nobody asked for
        believed["secret"] = outside["secret"]
    ours = set(outside["activation user"])
    return End(
        tenant.far["name"],
        {row["id"]: version_of(row.get("jobTitle")) for row in users},
        {
            uid: version_of(title)
            for uid, title in rows
            if uid not in ours or uid in {row["id"] for row in users}
        },
        outside,
        believed,
    )


def believed_of(ground: Ground, tenant: Tenant) -> dict[str, list[str]]:
    def column(query: str) -> list[str]:
        return [str(row[0]) for row in ground.sql(query, tenant.uid)]

    sent = ground.sql("SELECT sent_count FROM invitations_invitation WHERE tenant_id = %s", tenant.uid)
    host = "localhost"
    return {
        "secret": column(
            "SELECT microsoft_id FROM tenants_secret WHERE tenant_id = %s AND microsoft_id IS NOT NULL ORDER BY 1"
        ),
        "domain": column(
            "SELECT name FROM domains_customdomain WHERE tenant_id = %s AND state <> 'removed' ORDER BY 1"
        ),
        "activation user": column(
            "SELECT user_id FROM domains_customdomain WHERE tenant_id = %s AND state <> 'removed'"
            " AND user_made AND user_removed_at IS NULL ORDER BY 1"
        ),
        "mail": [
            f"<invitation-{tenant.invitation}-{number}@{host}>"
            for row in sent
            for number in range(1, row[0] + 1)
        ],
    }


def version_of(title: object) -> int:
    text = str(title or "")
    return int(text[1:]) if text[:1] == "v" and text[1:].isdigit() else 0
