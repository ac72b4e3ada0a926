"""`ump`: what a person at the machine can do. It does nothing that the services do not.

Every subcommand prints sentences for people, or one JSON document with `--json`. Exit codes: 0 done,
1 it did not work (the reason is printed), 2 wrong usage.
"""

import argparse
import datetime as dt
import getpass
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenants.abilities import CUSTOMER_ROLES, Role
from ump_portal import (
    cli_changes,
    cli_command,
    cli_deploy,
    cli_keys,
    cli_onboard,
    cli_powershell,
    cli_resource_accounts,
    cli_templates,
)

if TYPE_CHECKING:
    from replication.models import Command, RemovalPlan
    from tenants.access import Actor
    from tenants.models import Tenant

POLL_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.run is _up:
        return int(_up(options))
    _set_up_django()
    from django.db import OperationalError  # noqa: PLC0415  Django first

    from core.errors import UmpError  # noqa: PLC0415  Django first
    from tenants import scope  # noqa: PLC0415  Django first

    try:
        with scope.session():
            answer: tuple[Any, str] | int = options.run(options)
    except OperationalError as away:
        error = UmpError.of("database_unavailable", detail={"cause": str(away).strip()})
        _print(options, dict(error.to_dict()), f"{error.message}\n{error.advice}", stream=sys.stderr)
        return 1
    except UmpError as error:
        _print(options, dict(error.to_dict()), f"{error.message}\n{error.advice}", stream=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    if isinstance(answer, int):
        return int(answer)
    document, text = answer
    _print(options, document, text)
    return 0


def _print(options: argparse.Namespace, document: Any, text: str, stream: Any = None) -> None:
    out = stream or sys.stdout
    out.write((json.dumps(document, indent=2, default=str) if options.json else text) + "\n")


def _set_up_django() -> None:
    from ump_portal import up  # noqa: PLC0415  a command with DATABASE_URL set needs no starter

    for name, value in up.environment().items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
    import django  # noqa: PLC0415  after the environment

    django.setup()


def _actor() -> "Actor":
    from tenants.access import Actor  # noqa: PLC0415  Django first

    who = f"{getpass.getuser()} at the command line"
    return Actor(kind="cli", id=getpass.getuser(), label=who, provider_role=Role.PROVIDER_ADMIN)


def _tenant(named: str) -> "Tenant":
    """By id, exact name or domain, with its scope open. Raises NotFound, also for a blank: many have no domain."""
    from core.errors import NotFound  # noqa: PLC0415  Django first
    from tenants import scope  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  Django first
    from tenants.access import tenant_for  # noqa: PLC0415  Django first
    from tenants.selectors import tenants  # noqa: PLC0415  Django first

    with scope.every("a customer is looked up by its name at the command line"):
        wanted = named.lower()
        ids = [
            row.id
            for row in tenants()
            if wanted in {str(row.id), row.name.lower(), row.domain.lower(), str(row.entra_tenant_id)}
        ]
    if len(ids) != 1 or not named.strip():
        raise NotFound(thing=f"customer called {named!r}")
    return tenant_for(_actor(), ids[0], needs=Ability.VIEW_TENANT)


def _up(options: argparse.Namespace) -> int:
    from ump_portal import up  # noqa: PLC0415  only this subcommand starts anything

    return up.up(demo=options.demo, port=options.port)


def _tenants_list(options: argparse.Namespace) -> tuple[Any, str]:
    from tenants.abilities import Ability  # noqa: PLC0415  Django first
    from tenants.access import tenants_for  # noqa: PLC0415  Django first
    from tenants.selectors import connections_of, tenants  # noqa: PLC0415  Django first

    tenants_for(_actor(), needs=Ability.VIEW_TENANT)
    rows = list(tenants(search=options.search or ""))
    found = connections_of([row.id for row in rows])
    document = [_describe(row, found.get(row.id)) for row in rows]
    lines = [
        f"{row['id']}  {row['name']:<34} {row['state']:<9} {row['verification']:<20} "
        f"{row['users'] if row['users'] is not None else '-N/A-':>7} users  {row['replicated'] or 'never replicated'}"
        for row in document
    ]
    return document, "\n".join(lines) or "There is no customer yet. Add one with: ump tenants add NAME ..."


def _describe(tenant: "Tenant", connection: Any) -> dict[str, Any]:
    return {
        "id": str(tenant.id),
        "name": tenant.name,
        "entra_tenant_id": str(tenant.entra_tenant_id or ""),
        "domain": tenant.domain,
        "state": tenant.get_deploy_state_display(),
        "verification": connection.get_verification_display() if connection else "No connection",
        "problem": connection.problem_message if connection else "",
        "users": tenant.users_count,
        "groups": tenant.groups_count,
        "replicated": tenant.last_replicated_at and tenant.last_replicated_at.isoformat(timespec="seconds"),
        "paused": bool(tenant.paused_at),
    }


def _tenants_show(options: argparse.Namespace) -> tuple[Any, str]:
    from replication import selectors  # noqa: PLC0415  Django first
    from tenants.selectors import connection_of  # noqa: PLC0415  Django first

    tenant = _tenant(options.tenant)
    document = _describe(tenant, connection_of(tenant)) | {"queue": selectors.counters()}
    width = max(map(len, document))
    return document, "\n".join(f"{key:<{width}}  {value}" for key, value in document.items())


def _tenants_add(options: argparse.Namespace) -> tuple[Any, str]:
    from authstatus.services import onboard  # noqa: PLC0415  Django first
    from tenants.models import Cloud, Plan  # noqa: PLC0415  Django first

    secret = ""
    if not options.certificate:
        secret = sys.stdin.readline().strip() if options.secret_stdin else getpass.getpass("Client secret: ")
    tenant, command = onboard(
        _actor(),
        name=options.name,
        entra_tenant_id=uuid.UUID(options.entra_tenant_id),
        client_id=uuid.UUID(options.client_id),
        client_secret=secret,
        certificate=options.certificate or "",
        private_key=options.private_key or "",
        cloud=Cloud(options.cloud),
        domain=options.domain,
        plan=Plan(options.plan),
        licensed_users=options.licensed_users,
        deployed=options.deployed,
    )
    document = {"id": str(tenant.id), "name": tenant.name, "command": command.id}
    return document, f"{tenant.name} is added ({tenant.id}); its first check is command {command.id}."


def _tenants_check(options: argparse.Namespace) -> tuple[Any, str] | int:
    """The data check before and after an upgrade (TEN-22): 1 when a customer cannot be reached."""
    from authstatus import runs  # noqa: PLC0415  Django first
    from tenants import scope  # noqa: PLC0415  Django first

    why = "every customer is checked from the command line"
    with scope.every(why):
        found, _ = runs.start(_actor())
    while options.wait:
        with scope.every(why):
            if not runs.progress([found])[found.id].open:
                break
        time.sleep(POLL_SECONDS)
    with scope.every(why):
        document = [_checked(row) for row in runs.rows(found)]
    lines = [f"{row['name']:<34} {row['entra_tenant_id'] or '(no Azure Tenant Id)':<37} {row['outcome']:<14} "
             f"{row['message']}".rstrip() for row in document]  # fmt: skip
    _print(options, document, "\n".join(lines) or "There is no customer yet.")
    return int(any(row["outcome"] == "Access failed" for row in document))


def _checked(row: Any) -> dict[str, Any]:
    from authstatus import runs  # noqa: PLC0415  Django first

    return {
        "id": str(row.tenant_id),
        "name": row.tenant.name,
        "entra_tenant_id": str(row.tenant.entra_tenant_id or ""),
        "outcome": runs.WORDS[runs.Outcome(row.outcome)][1],
        "message": row.command.message if row.command else row.get_left_out_display(),
    }


def _tenants_confirm(options: argparse.Namespace) -> tuple[Any, str]:
    """With --yes: that is the right organisation. Without: what was found."""
    import uuid  # noqa: PLC0415  only here

    from authstatus import organization  # noqa: PLC0415  Django first
    from core.errors import Conflict  # noqa: PLC0415  Django first
    from tenants import confirming  # noqa: PLC0415  Django first
    from tenants.selectors import connection_of  # noqa: PLC0415  Django first

    tenant = _tenant(options.tenant)
    if options.yes:
        organization.confirm(_actor(), tenant, uuid.UUID(options.yes))
    stored = connection_of(tenant)
    if stored is None or not stored.organization:
        raise Conflict(thing="the organisation", why="no check has found it yet")
    document = stored.organization | {
        "awaited": confirming.awaited(tenant.id),
        "confirmed_by": stored.confirmed_by,
    }
    return document, "\n".join(f"{name:<13} {value}" for name, value in document.items())


def _tenants_import_password(options: argparse.Namespace) -> tuple[Any, str]:
    from authstatus.delegated import keep_password  # noqa: PLC0415  Django first

    password = sys.stdin.readline().rstrip("\n") if options.secret_stdin else getpass.getpass("Password: ")
    tenant = _tenant(options.tenant)
    keep_password(_actor(), tenant, account=options.account, password=password, imported=True)
    document = {"id": str(tenant.id), "name": tenant.name, "account": options.account}
    return document, f"{tenant.name} signs in as {options.account}; its commands wait until that was checked."


def _replicate(options: argparse.Namespace) -> tuple[Any, str] | int:
    from replication import services  # noqa: PLC0415  Django first

    tenant = _tenant(options.tenant)
    kind = "sync" if options.full else "quick_replication"
    command = services.submit(_actor(), kind, tenant, dry_run=options.dry_run)
    if not options.wait:
        return cli_command.document(command), f"Command {command.id} is queued."
    return _follow(options, command)


def _follow(options: argparse.Namespace, command: "Command") -> int:
    from replication import selectors  # noqa: PLC0415  Django first
    from replication.models import FINAL, State  # noqa: PLC0415  Django first

    said = ""
    while command.state not in {*FINAL, State.SUSPENDED}:
        told = f"{State(command.state).label}: {command.progress.get('label', command.message)}"
        if told != said and not options.json:
            sys.stdout.write(told + "\n")
        said = told
        time.sleep(POLL_SECONDS)
        command = selectors.command(command.tenant, command.id)
    _print(options, cli_command.document(command), f"{State(command.state).label}: {command.message}")
    return 0 if command.state == State.SUCCEEDED else 1


def _planned(options: argparse.Namespace) -> tuple["Command", "RemovalPlan"]:
    """The command and its plan, with the customer's scope open. Raises NotFound."""
    from core.errors import NotFound  # noqa: PLC0415  Django first
    from replication import plans, selectors  # noqa: PLC0415  Django first

    command = selectors.command(_tenant(options.tenant), options.number)
    plan = plans.of_command(command.id).first()
    if plan is None:
        raise NotFound(thing=f"plan of command {command.id}")
    return command, plan


def _plan_show(options: argparse.Namespace) -> tuple[Any, str]:
    from replication import plans, words  # noqa: PLC0415  Django first

    command, plan = _planned(options)
    found = words.planned(command, plan, _actor())
    lines = [
        {"noun": line.noun, "name": line.name, "detail": line.detail, "object_id": line.key}
        for line in plans.lines_of(plan)[: options.limit]
    ]
    document = {
        "plan": plan.id,
        "command": command.id,
        "awaited": found.awaited,
        "removals": plan.removals,
        "why": plan.why,
        "approved_by": plan.approved_by,
        "lines": lines,
    }
    shown = [f"  {line['noun']:<6} {line['name']}  {line['detail']}" for line in lines]
    if plan.removals > len(lines):
        shown.append(f"  ... and {plan.removals - len(lines):,} more; --limit shows them.")
    if found.awaited:
        shown.append(f"Confirm it: ump plan approve '{options.tenant}' {command.id} --plan {plan.id}")
    head = f"Plan {plan.id} of command {command.id} would remove {found.sums}.\n{plan.why}"
    return document, "\n".join([head, *shown])


def _plan_approve(options: argparse.Namespace) -> tuple[Any, str]:
    from replication import services  # noqa: PLC0415  Django first

    command, _ = _planned(options)
    command = services.approve(_actor(), command, options.plan)
    said = f"Plan {options.plan} is confirmed; command {command.id} reads anew and goes on."
    return cli_command.document(command), said


def _token_create(options: argparse.Namespace) -> tuple[Any, str]:
    from api.services import issue_token  # noqa: PLC0415  Django first
    from core.errors import InvalidInput  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  Django first

    try:
        role = Role(options.role)
        scopes = [Ability(word) for word in options.scope] if options.scope else None
    except ValueError as error:
        raise InvalidInput(field="role", why=str(error)) from error
    tenant = None if options.tenant is None else _tenant(options.tenant)  # a blank does not mean everybody
    token, value = issue_token(
        _actor(),
        name=options.name,
        role=role,
        scopes=scopes,
        tenant_id=tenant.id if tenant else None,
        networks=options.network or [],
        lifetime=options.days,
    )
    document = {"id": str(token.id), "name": token.name, "token": value, "expires": token.expires_at}
    return (
        document,
        f"{value}\nKeep it now: it is shown this one time. It expires {token.expires_at:%Y-%m-%d}.",
    )


def _user_add(options: argparse.Namespace) -> tuple[Any, str]:
    from django.db import transaction  # noqa: PLC0415  Django first

    from accounts.services import add_user  # noqa: PLC0415  Django first
    from core.errors import InvalidInput  # noqa: PLC0415  Django first
    from tenants.services import give_role  # noqa: PLC0415  Django first

    role = Role(options.role)
    if role in CUSTOMER_ROLES and not options.tenant:
        raise InvalidInput(
            field="--tenant", why=f"{role.value} is for one customer: say which, by id, name or domain"
        )
    tenant = None if options.tenant is None else _tenant(options.tenant)  # a blank does not mean everybody
    password = sys.stdin.readline().strip() if options.password_stdin else getpass.getpass()
    with transaction.atomic():  # an account without a role could not be added once more
        user = add_user(_actor(), email=options.email, name=options.name or "", password=password)
        give_role(_actor(), user_id=user.id, email=user.email, role=role, tenant=tenant)
    return {"id": str(user.id), "email": user.email}, f"{user.email} may sign in as {role.words}."


def _user_password(options: argparse.Namespace) -> tuple[Any, str]:
    """For who forgot it where no mail server sends a link and nobody else can make one."""
    from accounts.selectors import person_with  # noqa: PLC0415  Django first
    from accounts.services import set_password  # noqa: PLC0415  Django first
    from core.errors import InvalidInput  # noqa: PLC0415  Django first

    user = person_with(options.email)
    if options.password_stdin:
        password = sys.stdin.readline().strip()
    else:
        password = getpass.getpass("New password: ")
        if getpass.getpass("Once more: ") != password:
            raise InvalidInput(field="password", why="it was not typed the same way twice")
    set_password(_actor(), user, password=password)
    said = "" if user.is_active else " The person is deactivated and cannot sign in with it."
    return (
        {"id": str(user.id), "email": user.email},
        f"{user.email} has the new password; every session is over.{said}",
    )


def _env_example(options: argparse.Namespace) -> tuple[Any, str]:
    from ump_portal.env_example import render  # noqa: PLC0415  kept beside its one use

    return {"text": render()}, render().rstrip("\n")


Run = Callable[[argparse.Namespace], Any]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ump", description="Run and operate the UMP Portal.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = _add(commands, "up", _up, "start everything on this machine")
    up.add_argument("--demo", action="store_true", help="with the simulator and sample customers")
    up.add_argument("--port", type=int, help="of the web server (8000, or the next free one)")

    tenants = commands.add_parser("tenants", help="customers").add_subparsers(required=True, metavar="ACTION")
    _add(tenants, "list", _tenants_list, "all customers").add_argument("--search")
    _add(tenants, "show", _tenants_show, "one customer").add_argument("tenant", help="id, name or domain")
    checked = _add(tenants, "check", _tenants_check, "check the credentials of every customer")
    checked.add_argument("--wait", action="store_true", help="until all checks have ended")
    _tenant_arguments(_add(tenants, "add", _tenants_add, "add a customer with its app registration"))
    confirmed = _add(tenants, "confirm", _tenants_confirm, "compare what was found, and say that it is right")
    confirmed.add_argument("tenant", help="id, name or domain")
    confirmed.add_argument("--yes", metavar="ID", type=_guid, help="the id of the organisation that is right")
    imported = _add(
        tenants, "import-password", _tenants_import_password, "take over a password from an older portal"
    )
    imported.add_argument("tenant", help="id, name or domain")
    imported.add_argument("account", help="user name at Microsoft")
    imported.add_argument("--secret-stdin", action="store_true", help="read the password from standard input")
    cli_onboard.arguments(_add, commands, _actor, _tenant)
    cli_changes.arguments(_add, commands, _actor, _tenant)
    cli_deploy.arguments(_add, commands, _actor, _tenant)
    cli_resource_accounts.arguments(_add, commands, _actor, _tenant)
    cli_templates.arguments(_add, commands, _actor, _tenant)

    replicate = _add(commands, "replicate", _replicate, "read a customer's Microsoft 365 now")
    replicate.add_argument("tenant", help="id, name or domain")
    replicate.add_argument("--full", action="store_true", help="everything, not only what changed")
    replicate.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    replicate.add_argument("--wait", action="store_true", help="until it has ended")

    cli_command.arguments(_add, commands, _actor)
    cli_keys.arguments(_add, commands, _actor)

    _plan_arguments(
        commands.add_parser("plan", help="removals that wait for a person").add_subparsers(
            required=True, metavar="ACTION"
        )
    )
    _token_arguments(
        commands.add_parser("token", help="API clients").add_subparsers(required=True, metavar="ACTION")
    )
    _user_arguments(
        commands.add_parser("user", help="people").add_subparsers(required=True, metavar="ACTION")
    )
    cli_powershell.arguments(_add, commands)
    _add(commands, "env-example", _env_example, "print .env.example, made from the settings")
    return parser


def _add(commands: Any, name: str, run: Run, what: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what.capitalize() + ".")
    added.add_argument("--json", action="store_true", help="one JSON document instead of sentences")
    added.set_defaults(run=run)
    return added


def _guid(text: str) -> str:
    import uuid  # noqa: PLC0415  only here

    return str(uuid.UUID(text))


def _pem(name: str) -> str:
    """What is in the file."""
    try:
        return Path(name).read_text()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise argparse.ArgumentTypeError(
            f"{name} is not in PEM form, which begins with -----BEGIN"
        ) from error


def _days(text: str) -> dt.timedelta:
    try:
        return dt.timedelta(days=int(text))
    except OverflowError as error:
        raise argparse.ArgumentTypeError(f"{text} days are too many") from error


def _tenant_arguments(add: argparse.ArgumentParser) -> None:
    add.add_argument("name")
    add.add_argument("--entra-tenant-id", required=True, type=_guid, help="the customer's Azure Tenant Id")
    add.add_argument("--client-id", required=True, type=_guid, help="of the app registration")
    add.add_argument("--secret-stdin", action="store_true", help="read the client secret from standard input")
    add.add_argument("--certificate", type=_pem, help="PEM file, instead of a secret")
    add.add_argument("--private-key", type=_pem, help="PEM file of the certificate's key")
    add.add_argument("--cloud", default="global", choices=["global", "gcc_high", "dod", "china"])
    add.add_argument("--plan", default="pro", choices=["essentials_plus", "pro"])
    add.add_argument("--domain", default="")
    add.add_argument("--licensed-users", type=int, default=0)
    add.add_argument("--deployed", action="store_true", help="its voice routing is in place already")


def _plan_arguments(plans: Any) -> None:
    for name, run, what in (
        ("show", _plan_show, "what a held command would remove"),
        ("approve", _plan_approve, "let a held command remove what its plan lists"),
    ):
        added = _add(plans, name, run, what)
        added.add_argument("tenant", help="id, name or domain")
        added.add_argument("number", type=int, help="of the command")
        if name == "show":
            added.add_argument("--limit", type=int, default=20, help="so many names (20)")
        else:
            added.add_argument("--plan", type=int, required=True, help="the number of the plan you looked at")


def _token_arguments(tokens: Any) -> None:
    create = _add(tokens, "create", _token_create, "make a token for an API client; shown once")
    create.add_argument("name")
    create.add_argument(
        "--role", default="operator", help="provider_admin, operator, monitor, customer_admin, ..."
    )
    create.add_argument("--tenant", help="bind it to one customer")
    create.add_argument("--scope", action="append", help="narrow it, e.g. tenant:view; may be repeated")
    create.add_argument("--network", action="append", help="CIDR block it may be used from; may be repeated")
    create.add_argument("--days", type=_days, default=dt.timedelta(days=365))


def _user_arguments(users: Any) -> None:
    add = _add(users, "add", _user_add, "add a person with a role")
    add.add_argument("email")
    add.add_argument("--name")
    add.add_argument("--role", default=Role.PROVIDER_ADMIN.value, choices=[role.value for role in Role])
    add.add_argument("--tenant", help="the role holds for this customer only (id, name or domain)")
    add.add_argument("--password-stdin", action="store_true")
    anew = _add(users, "password", _user_password, "set a new password for a person who forgot it")
    anew.add_argument("email")
    anew.add_argument("--password-stdin", action="store_true", help="read it from standard input")


if __name__ == "__main__":
    sys.exit(main())
