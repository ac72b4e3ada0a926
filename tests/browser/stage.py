"""Customers in every state, with names and numbers that strain a page."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

from django.utils import timezone

from accounts.models import SavedView
from accounts.services import create_token, save_view
from audiocodes.script import Kind, Variable
from authstatus.models import LeftOut, RegistrationKey, VerifyRow, VerifyRun
from breakers.models import AccessFailure
from core.errors import UmpError
from directory.models import DirectoryGroup, DirectoryUser, SyncStream
from domains import services as dns
from domains.models import CustomDomain
from invitations import services as asking
from invitations.models import Invitation
from onboarding import services as onboarding
from replication import runner, services, states
from replication.context import Done
from replication.models import Command, Removal, RemovalPlan
from replication.runner import Verdict
from resource_accounts import services as resource_accounts
from resource_accounts.models import Design, Write
from sbc import prefixes
from sbc.models import Link, Sbc
from sbc.services import add as add_sbc
from sbc.services import set_ovoc
from sites import services as sites
from sites import template_selectors, templates
from sites.models import Prefix, ScriptTemplate, Site
from telephony import holds, ranges
from telephony.intervals import between
from telephony.models import Stream
from tenants import provider_app, scope
from tenants.abilities import ABILITIES, Role
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Cloud, Connection, Plan, SecretKind, SignInFlow, Tenant, Verification
from tenants.services import add_tenant, delete_tenant, set_connection
from tests.cast import Cast
from tests.directorypages.test_directory_pages import licence, person, read, team
from tests.pages.helpers import change, failed, verified
from tests.provisioning.making import add_change, add_line, add_plan
from tests.queuepages.test_lists import change as change_command
from tests.queuepages.test_lists import claim, submit
from tests.telephony.making import add_number, add_person, keep_stream
from user_templates.models import UserTemplate
from webhooks import services as webhooks
from webhooks.models import Delivery

LONG = "Vereinigte Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft und Söhne GmbH"
RTL = "مؤسسة النور للاتصالات"
SKU = uuid.UUID("06ebc4ee-1bb5-47dd-8120-11324bc54e06")
UNKNOWN_SKU = uuid.UUID(int=77)


@dataclasses.dataclass
class Stage:
    """What a template of an address may name."""

    cast: Cast
    names: dict[str, Any]

    def address(self, template: str) -> str:
        return template.format(**self.names)


def build(cast: Cast) -> Stage:
    """Everything committed, by the services that people and workers use; a few rows of Microsoft's by hand."""
    customers = {
        "contoso": cast.contoso,
        "fabrikam": cast.fabrikam,
        "never": customer("Müller & Söhne Großhandel GmbH", domain="mueller-soehne.example"),
        "paused": customer(RTL),
        "long": customer(LONG, domain="a" * 60 + "." + "b" * 60 + ".example"),
        "bare": add_tenant(SYSTEM, name="Unconnected Ltd", entra_tenant_id=None, plan=Plan.ESSENTIALS_PLUS),
        "disabled": customer("Disabled & Sons"),
        "ending": customer("Ørsted Ångström", cloud=Cloud.GCC_HIGH),
        "deleted": customer("Gone Fishing"),
    }
    onboardings(customers)
    numbers = commands(customers)
    directory(cast.contoso)
    pools = telephony(cast.contoso)
    ids = {name: tenant.id for name, tenant in customers.items()}
    health(customers, cast)
    own_app()
    return Stage(
        cast,
        ids
        | numbers
        | first_ids(cast)
        | domains(customers)
        | invitations(customers)
        | {"run_id": run(customers, numbers)}
        | {
            "token_id": token(),
            "endpoint_id": webhook(cast),
            **devices(),
            **scripts(),
            **sites_of(cast.contoso),
            **designs_of(cast.contoso),
            **templates_of(cast.contoso),
            **pools,
            "view_id": view(cast),
            "plan_id": written(cast.contoso),
            "flow_id": flow(cast.contoso),
            "key_id": keys(cast.contoso),
            "user_id": cast.olga.id,
            "adam": cast.adam.id,
        },
    )


def onboardings(customers: dict[str, Tenant]) -> None:
    """One whose access is proven, one that waits for somebody, one that was cancelled."""
    for name in ("contoso", "bare", "never"):
        with scope.one(customers[name].id):
            onboarding.start_again(SYSTEM, customers[name])
    with scope.one(customers["never"].id):
        onboarding.cancel(SYSTEM, customers["never"])


def written(tenant: Tenant) -> uuid.UUID:
    """A plan that was applied in part, for somebody with a long name, and a change that waits."""
    one = person(tenant, f"Wanda {LONG}")
    plan = add_plan(tenant, state="partial", figures={"give": 2, "written": 1, "failed": 1})
    add_line(plan, one.object_id, str(one))
    add_line(plan, one.object_id, str(one), "user:city", state="failed", after=LONG, change_state="failed",
             problem={"code": "write_lost", "message": LONG, "advice": "Try again."})  # fmt: skip
    add_change(tenant.id, one.object_id, str(one), "user:jobTitle", wanted=LONG)
    return plan.uid


def flow(tenant: Tenant) -> uuid.UUID:
    """A sign-in at Microsoft that somebody began and has not finished."""
    with scope.one(tenant.id):
        begun = SignInFlow.objects.create(
            tenant=tenant, state_hash="s", browser_hash="b", actor_id="a", client_id=uuid.uuid4()
        )
    return begun.id


def keys(tenant: Tenant) -> uuid.UUID:
    """What Microsoft listed on the registration: one nobody has said anything of, and some with long names."""
    now = timezone.now()
    with scope.one(tenant.id):
        client_id = Connection.objects.get(tenant=tenant).client_id
        rows = RegistrationKey.objects.bulk_create(
            RegistrationKey(
                tenant=tenant,
                client_id=client_id,
                key_id=uuid.uuid5(tenant.id, name),
                kind=kind,
                name=name,
                service=service,
                expires_at=now + dt.timedelta(days=days),
                seen_at=now,
            )
            for name, service, kind, days in (
                ("Voice portal", "", SecretKind.CLIENT_SECRET, 9),
                (LONG, LONG[:60], SecretKind.CLIENT_SECRET, -3),
                ("CN=recorder", "Call recorder", SecretKind.CERTIFICATE_KEY, 900),
            )
        )
    return rows[0].key_id


def invitations(customers: dict[str, Tenant]) -> dict[str, Any]:
    """One whose organisation is to be confirmed, one that was refused, one that is done, one long one."""
    now = timezone.now()
    found = {
        "found_tenant_id": uuid.UUID(int=9),
        "found_name": LONG,
        "found_domains": [f"{'a' * 60}.example"] * 4,
    }
    undelivered = {
        "undelivered": dict(UmpError.of("mail_address", thing=f"{'x' * 60}@long.example").to_dict())
    }
    made = {}
    for name, owner, values in (
        ("invitation_id", "contoso", {"sent_count": 2, "sent_at": now, "signed_in_at": now, **found}),
        ("refused_invitation", "long", {"problem": undelivered["undelivered"], **undelivered}),
        ("done_invitation", "fabrikam", {"sent_count": 1, "sent_at": now, "done_at": now}),
    ):
        tenant = customers[owner]
        with scope.one(tenant.id):
            made[name] = asking.invite(SYSTEM, tenant, email=f"{'x' * 60}@{owner}.example", full_name=LONG).pk
            Invitation.objects.filter(id=made[name]).update(**values)
            Command.objects.filter(kind=asking.SEND).update(state="cancelled", finished_at=now)
    return made


def domains(customers: dict[str, Tenant]) -> dict[str, Any]:
    """One that waits for its record, one that is ready, one that stopped; and the provider's zone."""
    secret = "c2VjcmV0LW9mLXRoaXMtc3RhZ2Utb25seS0tLS0tLS0="
    dns.set_zone(SYSTEM, name="voice.example", server="ns1.voice.example", key_name="portal", secret=secret)
    waits = {
        "step": "see",
        "step_since": timezone.now(),
        "text": "MS=ms12345678",
        "waiting": "Nobody has it yet.",
    }
    ready = {
        "state": "ready",
        "ready_at": timezone.now(),
        "user_made": True,
        "user_id": "u",
        "licence": "SPE_E5",
    }
    longest = "vereinigtedonaudampfschifffahrtsgesellsch.example"[-48:]
    stopped = {"step": "add", "problem": dict(UmpError.of("domain_taken", thing=longest).to_dict())}
    made = {}
    for name, owner, domain, values in (
        ("domain_id", "contoso", "voice.contoso.example", waits),
        ("ready_domain", "long", "long.example.com", ready),
        ("stopped_domain", "never", longest, stopped),
    ):
        tenant = customers[owner]
        with scope.one(tenant.id):
            made[name] = dns.begin(SYSTEM, tenant, name=domain, by_hand=True).id
            CustomDomain.objects.filter(id=made[name]).update(**values)
            if values is not waits:
                Command.objects.filter(kind=dns.PROVISION).update(
                    state="cancelled", finished_at=timezone.now()
                )
    return made


def webhook(cast: Cast) -> uuid.UUID:
    """One that takes nothing, and the refusals of a degraded customer behind what it was not told."""
    url = "https://tickets.example/a/rather/long/path/to/the/hook/of/this/portal"
    made, _ = webhooks.add(cast.actor("pia"), name="Ticket system", url=url, tenants=[cast.contoso.id])
    told = {"event": 1, "type": "connection.degraded", "milliseconds": 81}
    for status, problem in ((204, ""), (None, "The portal cannot reach tickets.example.")):
        Delivery.objects.create(endpoint=made, status=status, problem=problem, **told)
    webhooks.hold(SYSTEM, made, "It took nothing for 3 days.")
    with scope.every("a customer whom Microsoft refuses"):
        AccessFailure.objects.create(tenant=cast.fabrikam, code="secret_expired", command=1)
        refused = Connection.objects.filter(tenant=cast.fabrikam)
        refused.update(degraded_at=timezone.now(), max_access_failures=1)
    return made.id


def devices() -> dict[str, uuid.UUID]:
    """An SBC with alarms and rules, a locked one that nobody trusts, and one of OVOC's list without a password."""
    found = {
        name: add_sbc(
            SYSTEM,
            name=f"{name}.example",
            address=f"169.254.4.{number}",
            user="ump",
            password="secret",
            fqdn=fqdn,
        )[0]
        for number, (name, fqdn) in enumerate(
            (("sbc_id", ""), ("locked_sbc", "sbc.carrier.example"), ("new_sbc", ""))
        )
    }
    told = {"product": "Mediant 4000B SBC", "version": "7.40A.600.231", "state": "UNLOCKED", "locked": False}
    alarm = {
        "id": "1",
        "severity": "critical",
        "description": LONG,
        "source": "Board#1",
        "date": "2026-11-20",
    }
    now = timezone.now()
    Sbc.objects.filter(uid=found["sbc_id"].uid).update(
        link=Link.CONNECTED,
        checked_at=now,
        reached_at=now,
        told=told,
        alarms=[alarm],
        serial="4711",
        ovoc_id=2**40,
    )
    rules = [("P", "+41589061[000-999]"), ("P", "+4158906150"), ("Q", "+41xx[0-4]"), ("Q", "[1-20]")]
    rows = [(str(n), plan, str(n), LONG, prefix, "a" * 70) for n, (plan, prefix) in enumerate(rules)]
    prefixes.keep(Sbc.objects.get(uid=found["sbc_id"].uid), prefixes.Reading(rows, [(0, 1)]))
    shown = UmpError.of("sbc_certificate", host="locked_sbc.example", detail={"fingerprint": "9f" * 32})
    problem = dict(shown.to_dict())
    Sbc.objects.filter(uid=found["locked_sbc"].uid).update(
        link=Link.UNTRUSTED,
        checked_at=now,
        problem=problem,
        rules_problem=problem,
        told=told | {"locked": True},
    )
    Sbc.objects.filter(uid=found["new_sbc"].uid).update(secret=None, ovoc_id=2, ovoc_missing_since=now)
    set_ovoc(SYSTEM, address="169.254.0.1", user="operator", password="secret")
    return {name: sbc.uid for name, sbc in found.items()}


def scripts() -> dict[str, uuid.UUID]:
    """The templates to begin with, one of them in two versions, and a draft with long lines and every finding."""
    made = templates.add_defaults(SYSTEM)[1]
    text = template_selectors.version(made).script
    templates.change(
        SYSTEM, made, script=text.replace("IPG_", "IP-GROUP-OF-").replace("exit\n", "", 1), draft=True
    )
    variable = Variable(
        "CustomVar.Variable1", Kind.CHOICE, LONG[:60], options=(LONG[:200], "two"), help=LONG[:200]
    )
    wrong = f"configure voip\nip-grup {{{{SiteNam}}}}\ntags {'x' * 300}\nwibble 3\nno ip-group 5\n"
    draft = templates.add(
        SYSTEM,
        name=LONG[:80],
        purpose="onboarding",
        description=LONG[:500],
        script=wrong * 3,
        variables=[variable],
        draft=True,
    )
    return {"script_id": made.uid, "draft_script": draft.uid}


def customer(name: str, cloud: Cloud = Cloud.GLOBAL, **more: Any) -> Tenant:
    made = add_tenant(SYSTEM, name=name, entra_tenant_id=uuid.uuid4(), licensed_users=120, **more)
    with scope.one(made.id):
        set_connection(
            SYSTEM, made, cloud=cloud, client_id=uuid.uuid4(), client_secret=f"{uuid.uuid4().hex}~of~an~app"
        )
    return made


def health(customers: dict[str, Tenant], cast: Cast) -> None:
    """What the last checks said, and who is out of service."""
    for name in ("contoso", "paused", "disabled"):
        verified(customers[name], users=12_345)
    verified(customers["ending"], days_left=5)
    verified(customers["long"], users=0)
    failed(
        customers["fabrikam"], "secret_expired", microsoft_code="AADSTS7000222", request_id=str(uuid.uuid4())
    )
    with scope.one(customers["paused"].id):
        services.pause_tenant(cast.actor("olga"), customers["paused"], paused=True)
    change(customers["disabled"], enabled=False)
    with scope.one(customers["deleted"].id):
        delete_tenant(cast.actor("pia"), customers["deleted"], typed_name="Gone Fishing")


def directory(tenant: Tenant) -> None:
    """Names of all kinds; enough rows for three pages."""
    licence(tenant)
    licence(tenant, SKU, "SPE_E5", enabled=100, consumed=104, warning=0)
    licence(tenant, UNKNOWN_SKU, "A_PART_NUMBER_WITHOUT_A_NAME_" * 3, enabled=0, consumed=0, suspended=5)
    people = [
        person(tenant, "Jürgen Müller-Lüdenscheidt", department="Einkauf", job_title="Geschäftsführer", sku_ids=[SKU],
               company_name="Müller & Söhne", city="Köln", business_phones="+49 221 123456", mobile_phone="+49 170 1",
               mail="juergen@mueller.example", usage_location="DE", created_at=timezone.now()),
        person(tenant, "محمد عبد الله", department="المبيعات", sku_ids=[SKU, UNKNOWN_SKU]),
        person(tenant, "A" + "n" * 118 + "a", department="D" * 64, job_title="T" * 128, account_enabled=False),
        person(tenant, "Émile Zola", user_type="Guest", on_premises=True),
        *[person(tenant, f"Person {number:03}", sku_ids=[SKU]) for number in range(25)],
    ]  # fmt: skip
    members = [(one.object_id, "user") for one in people] + [
        (uuid.uuid4(), "device"),
        (uuid.uuid4(), "group"),
    ]
    team(tenant, "Alle Mitarbeiterinnen und Mitarbeiter", members, description="Jede und jeder. " * 40)
    team(tenant, "Empty", [], mail_enabled=True, group_types="Unified DynamicMembership",
         membership_rule='(user.department -eq "Sales") or ' * 12)  # fmt: skip
    team(tenant, LONG, members[:2], mail="x" * 100 + "@contoso.example", on_premises=True)
    read(tenant, rows=29, links=31)
    error = dict(UmpError.of("graph_unavailable").to_dict())
    with scope.one(tenant.id):
        SyncStream.objects.filter(tenant=tenant, stream="licences").update(
            error=error, synced_at=timezone.now() - dt.timedelta(days=3)
        )


def telephony(tenant: Tenant) -> dict[str, uuid.UUID]:
    """A number in each state, in use by names of all kinds; a range of them, some kept back."""
    for number, name in (("+4922112345601", LONG), ("+97144000001", RTL)):
        add_number(tenant, number, add_person(tenant, name, number))
    add_number(tenant, "+4922112345602")
    add_number(tenant, "+4922112345603", freed_at=timezone.now())
    add_number(tenant, "+4922112345604", capabilities="conferenceAssignment")
    add_number(tenant, "+4922112345605", activation="assignmentFailed", kind="operatorConnect")
    add_number(tenant, "+4922112345606", uuid.uuid4(), city="C" * 200, country="DE")
    keep_stream(tenant, Stream.NUMBERS, synced_at=timezone.now(), rows=7)
    with scope.one(tenant.id):
        pool = ranges.add(
            SYSTEM, tenant, name=LONG[:60], kind="directRouting", first="+49221123456[00-99]", note=LONG[:300]
        )
        kept = [between("+49221123456[02-09]")]
        holds.reserve(SYSTEM, tenant, kept, holder=LONG[:120], note=LONG[:300])
        return {"range_id": pool.uid, "hold_id": holds.of_tenant(tenant).get().uid}


def sites_of(tenant: Tenant) -> dict[str, uuid.UUID]:
    """A deployed one with a number and a look at what removing it does, and one that failed."""
    sbc = Sbc.objects.order_by("id").first()
    script = ScriptTemplate.objects.get(name="SIP trunk")
    values = {"CarrierHostName": f"{'c' * 60}.example:5060"}
    told: dict[str, Any] = {"sbc": sbc, "template": script, "values": values, "configuration": "SipTrunk"}
    with scope.one(tenant.id):
        good = sites.add(SYSTEM, tenant, name="Zurich", gateway=f"{'z' * 60}.contoso.example", **told)
        bad = sites.add(SYSTEM, tenant, name="Long office 12", gateway="", **told)
        look = sites.preview(SYSTEM, good, sites.REMOVE)
        row = {"table": "IPGroup", "key": [3], "values": {"Name": f"IPG_{'x' * 60}"}}
        Site.objects.filter(id=good.id).update(
            sbc_state="deployed", footprint=[row] * 9, deployed_at=timezone.now(), checked_at=timezone.now()
        )
        problem = UmpError.of("site_refused", thing=bad.name, host=LONG, why="line 8 'activate': no such row")
        Site.objects.filter(id=bad.id).update(sbc_state="failed", sbc_problem=dict(problem.to_dict()))
        number = Prefix.objects.create(
            tenant=tenant, site=good, sbc=sbc, plan="CustDialPlan", name="Zurich", tag="t" * 60, plus=True,
            prefix="+4158906[1000-1999]", span=(4158906, 4158907), numbers=1000, state="present",
        )  # fmt: skip
    result = {"plan": "p" * 32, "lines": [f"no ip-group {'9' * 90}"] * 5, "rows": [f"IPGroup 3 {LONG}"] * 3}
    change_command(look, state="succeeded", finished_at=timezone.now(), result=result | {"notes": [LONG]})
    return {"site_id": good.uid, "failed_site": bad.uid, "prefix_id": number.uid}


def templates_of(tenant: Tenant) -> dict[str, uuid.UUID]:
    """One that is off, with long names; and a group with members to be covered."""
    with scope.one(tenant.id):
        group = DirectoryGroup.objects.filter(tenant=tenant).order_by("object_id").first()
        assert group is not None
        row = UserTemplate.objects.create(
            tenant=tenant, name=LONG[:80], rank=1, group_id=group.object_id, group_name=LONG[:300],
            values=[["user:city", "C" * 100], ["policy:TeamsCallingPolicy", {"id": "", "name": "P" * 60}]],
            created_by=LONG[:200],
        )  # fmt: skip
    return {"user_template_id": row.uid}


def designs_of(tenant: Tenant) -> dict[str, uuid.UUID]:
    """An attendant of which a part is built, and the template made of it."""
    told = {"menu": LONG, "key_1": "number", "key_1_target": "+41589061000", "monday": "09:00-12:00"}
    problem = UmpError.of("resource_account_needs_person", thing=f"{'r' * 60}@contoso.example")
    with scope.one(tenant.id):
        row = resource_accounts.add(
            SYSTEM, tenant, kind="auto_attendant", name=LONG[:64], upn=f"{'r' * 60}@contoso.example",
            number="+4922112345602", spec=told | {"holidays": f"2026-12-24 to 2026-12-26 {'h' * 60}"},
        )  # fmt: skip
        made = resource_accounts.save_template(SYSTEM, row, "Small office")
        own = {"name": row.upn, "id": str(uuid.uuid4()), "digest": "", "at": timezone.now().isoformat()}
        Design.objects.filter(pk=row.pk).update(
            state="failed",
            problem=dict(problem.to_dict()),
            owned={"resource account": own},
            checked_at=timezone.now(),
        )
        Write.objects.create(
            tenant=tenant, design=row, command_id=1, action="create", part="resource account", name=row.upn,
            call={"cmdlet": "New-CsOnlineApplicationInstance"}, outcome="refused", said=LONG,
        )  # fmt: skip
    return {"design_id": row.uid, "template_id": made.uid}


def first_ids(cast: Cast) -> dict[str, Any]:
    with scope.one(cast.contoso.id):
        users = {user.display_name[:1]: user.object_id for user in DirectoryUser.objects.all()}
        groups = {row.display_name[:1]: row.object_id for row in DirectoryGroup.objects.all()}
    return {
        "user": users["J"], "long_user": users["A"], "rtl_user": users["م"],
        "group": groups["A"], "dynamic_group": groups["E"], "long_group": groups["V"],
    }  # fmt: skip


def run(customers: dict[str, Tenant], numbers: dict[str, int]) -> uuid.UUID:
    """Verify All, half way."""
    made = VerifyRun.objects.create(started_by="olga@example.test")
    checks = {"contoso": "failed", "fabrikam": "suspended", "long": "debounced", "never": "waiting"}
    out = {"paused": LeftOut.PAUSED, "bare": LeftOut.NOT_CONNECTED, "disabled": LeftOut.DISABLED}
    for name, tenant in customers.items():
        if name in checks | out:
            with scope.one(tenant.id):
                command_id = numbers[checks[name]] if name in checks else None
                VerifyRow.objects.create(
                    run=made, tenant=tenant, command_id=command_id, left_out=out.get(name, LeftOut.NO)
                )
    return made.id


def own_app() -> None:
    """The provider's own app, whose secret has expired."""
    provider_app.change(
        SYSTEM,
        client_id=uuid.uuid4(),
        redirect_uri="https://portal.example/authenticate/OAuth2Callback",
        given=Given(SecretKind.CLIENT_SECRET, "a~secret~of~the~provider", expires_at=timezone.now()),
    )
    problem = UmpError.of(
        "provider_app_refused", why="its client secret has expired", detail={"cause": "x" * 90}
    )
    provider_app.note_check(
        verification=Verification.FAILED, problem=dict(problem.to_dict()), at=timezone.now()
    )


def token() -> uuid.UUID:
    for name in ("OVOC of the whole house", "T" * 120):
        row, _ = create_token(
            SYSTEM, name=name, role=Role.OPERATOR, scopes=sorted(ABILITIES[Role.OPERATOR]), tenant_id=None,
            networks=["10.0.0.0/8", "2001:db8::/32"], lifetime=dt.timedelta(days=20),
        )  # fmt: skip
    return row.id


def view(cast: Cast) -> uuid.UUID:
    for page in SavedView.LISTS:
        for name in ("Mine", "A long name of a view: it takes its room"):
            made = save_view(cast.actor("pia"), cast.pia, page=page, name=name, query=f"size=25&q={name[:3]}")
    return made.id


# --- Commands -----------------------------------------------------------------------------------------------
RESULT = {
    "mode": "full", "why": ["never read before"], "requests": 812, "waited": 3.5,
    "users": {"read": 20_000, "added": 20_000, "changed": 0, "removed": 0},
}  # fmt: skip
PROGRESS = {
    "label": "Reading users 6,993 of 20,000, groups 120 of 4,000, members of 99 of 4,000 groups",
    "done": 7212, "total": 28_000, "requests": 311, "rows": 7113, "pages": 9, "waited": 12.0,
}  # fmt: skip


def commands(customers: dict[str, Tenant]) -> dict[str, int]:
    """One in each state; the final ones first, since a lane runs one at a time."""
    contoso, fabrikam = customers["contoso"], customers["fabrikam"]
    return {
        "succeeded": ended(contoso, "sync", runner._after(Done("20,000 users added.", result=RESULT))),
        "partial": ended(contoso, "quick_replication", runner._after(Done("Licences could not be read.", "partial"))),
        "failed": refused(contoso, "verify_credentials", "secret_expired", microsoft_code="AADSTS7000222"),
        "cancelled": cancelled(contoso),
        "backing_off": refused(contoso, "quick_replication", "graph_unavailable", request_id=str(uuid.uuid4())),
        "planned": planned(contoso),
        "throttled": refused(customers["paused"], "sync", "throttled"),
        "executing": executing(contoso),
        "suspended": refused(fabrikam, "sync", "consent_missing", correlation_id=str(uuid.uuid4())),
        "target": refused(customers["ending"], "sync", "teams_phone_missing"),
        "held": submit(fabrikam, "quick_replication").id,
        "waiting": submit(customers["never"], "verify_credentials").id,
        "debounced": submit(customers["long"], "quick_replication", delay=dt.timedelta(minutes=5)).id,
        "provider": provider_wide(),
    }  # fmt: skip


def ended(tenant: Tenant, kind: str, verdict: Verdict) -> int:
    command = submit(tenant, kind)
    runner._settle(claim_of(command), verdict)
    return int(command.id)


def refused(tenant: Tenant, kind: str, code: str, **detail: Any) -> int:
    command = submit(tenant, kind)
    claimed = claim_of(command)
    runner._settle(claimed, runner.verdict_on(claimed, UmpError.of(code, detail=detail)))
    return int(command.id)


def planned(tenant: Tenant) -> int:
    """One that waits until somebody has looked at what it would remove."""
    number = refused(tenant, "sync", "plan_needs_approval")
    figures = [
        {"noun": "User", "label": "Users", "remove": 130, "have": 240},
        {"noun": "Group", "label": "Groups", "remove": 1, "have": 9},
    ]
    with scope.one(tenant.id):
        plan = RemovalPlan.objects.create(
            tenant_id=tenant.id, command_id=number, why="Gone. " * 40, figures=figures
        )
        people = [(f"Person {each:03}", f"person{each}@contoso.example", "User") for each in range(128)]
        for name, detail, noun in [
            (LONG, "x" * 250, "User"),
            (RTL, "", "User"),
            ("All", "", "Group"),
            *people,
        ]:
            Removal.objects.create(
                tenant_id=tenant.id, plan=plan, noun=noun, key=str(uuid.uuid4()), name=name, detail=detail
            )
    return number


def cancelled(tenant: Tenant) -> int:
    command = submit(tenant, "sync")
    with scope.one(tenant.id):
        services.cancel(SYSTEM, command)
    return int(command.id)


def executing(tenant: Tenant) -> int:
    command = submit(tenant, "sync")
    claim_of(command)
    change_command(command, progress=PROGRESS, lease_until=timezone.now() + dt.timedelta(hours=1))
    return int(command.id)


def provider_wide() -> int:
    with scope.every("a command of the provider as a whole"):
        return int(services.submit(SYSTEM, "rotate_keys", None).id)


def claim_of(command: Command) -> states.Claimed:
    """What is due before it stays as it is."""
    claimed = claim()
    assert claimed.id == command.id
    return claimed
