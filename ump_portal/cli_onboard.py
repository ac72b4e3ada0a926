"""`ump onboard`: the wizard at the command line."""

import argparse
import getpass
import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onboarding.models import Onboarding
    from tenants.access import Actor
    from tenants.models import Tenant

Answer = tuple[Any, str]
Find = Callable[[str], "Tenant"]
Who = Callable[[], "Actor"]


def arguments(add: Callable[..., argparse.ArgumentParser], commands: Any, who: Who, find: Find) -> None:
    """Add the subcommands; `who` acts, and `find` opens the scope of the customer that somebody named."""
    actions = commands.add_parser("onboard", help="taking on a customer").add_subparsers(
        required=True, metavar="ACTION"
    )
    start = add(actions, "start", lambda options: _start(options, who()), "take on a customer")
    start.add_argument("name")
    start.add_argument("--domain", default="")
    start.add_argument("--entra-tenant-id", type=uuid.UUID, help="the customer's Azure Tenant Id, if known")
    start.add_argument("--cloud", default="global", choices=["global", "gcc_high", "dod", "china"])
    start.add_argument("--plan", default="pro", choices=["essentials", "essentials_plus", "pro"])
    start.add_argument("--service", default="direct_routing", choices=["direct_routing", "operator_connect"])
    start.add_argument("--licensed-users", type=int, default=0)
    start.add_argument("--without-sync", action="store_true", help="Operator Connect only")
    start.add_argument(
        "--automatic-dns",
        nargs="?",
        const="",
        metavar="NAME",
        help="set up a sub-domain once access is proven",
    )
    way = start.add_mutually_exclusive_group()
    way.add_argument("--invite", metavar="EMAIL", help="send the link to this IT administrator")
    way.add_argument("--client-id", type=uuid.UUID, help="of an app registration; its secret is asked for")
    way.add_argument("--provider-app", action="store_true", help="use the provider's app")
    start.add_argument(
        "--secret-stdin", action="store_true", help="read the client secret from standard input"
    )
    add(actions, "list", lambda options: _list(who()), "onboardings that are not finished")
    for word, what in (
        ("show", "where the onboarding of a customer stands"),
        ("retry", "try its step again"),
        ("finish", "say that the customer is taken on"),
        ("cancel", "stop it; the customer stays"),
    ):
        added = add(actions, word, _act(word, who, find), what)
        added.add_argument("tenant", help="id, name or domain")


def _start(options: argparse.Namespace, actor: "Actor") -> Answer:
    from onboarding import services  # noqa: PLC0415  Django first

    connection = None
    if options.client_id:
        typed = sys.stdin.readline().strip() if options.secret_stdin else getpass.getpass("Client secret: ")
        connection = {"client_id": options.client_id, "client_secret": typed}
    made = services.onboard(
        actor,
        name=options.name,
        domain=options.domain,
        entra_tenant_id=options.entra_tenant_id,
        cloud=options.cloud,
        plan=options.plan,
        service=options.service,
        licensed_users=options.licensed_users,
        with_sync=not options.without_sync,
        automatic_dns=options.automatic_dns is not None,
        dns_name=options.automatic_dns or "",
        invitation={"email": options.invite} if options.invite else None,
        connection=connection,
        provider_app=options.provider_app,
    )
    return _told(made)


def _list(actor: "Actor") -> Answer:
    from onboarding import selectors  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  Django first
    from tenants.access import tenants_for  # noqa: PLC0415  Django first

    tenants_for(actor, needs=Ability.EDIT_TENANT)
    rows = list(selectors.unfinished())
    document = [
        {"customer": row.tenant.name, "step": row.get_step_display(), "way": row.way, "until": row.deadline}
        for row in rows
    ]
    lines = [
        f"{row['customer']:<34} {row['step']:<12} {row['way'] or '(no way chosen)':<16} until {row['until']:%Y-%m-%d}"
        for row in document
    ]
    return document, "\n".join(lines) or "No onboarding is open."


def _act(word: str, who: Who, find: Find) -> Callable[[argparse.Namespace], Answer]:
    def act(options: argparse.Namespace) -> Answer:
        from onboarding import selectors, services  # noqa: PLC0415  Django first

        tenant, said = find(options.tenant), ""
        if word == "retry":
            said = services.retry(who(), tenant) + "\n"
        elif word != "show":
            {"finish": services.finish, "cancel": services.cancel}[word](who(), tenant)
        document, text = _told(selectors.the_newest_of(tenant))
        return document, said + text

    return act


def _told(row: "Onboarding") -> Answer:
    """Where it stands, as a document and as sentences."""
    from onboarding import standing  # noqa: PLC0415  Django first
    from tenants import scope  # noqa: PLC0415  Django first

    with scope.one(row.tenant_id):
        now = standing.of(row)
    ended = "finished" if row.finished_at else "cancelled" if row.cancelled_at else ""
    problem = dict(now.error) if now.error else None
    document = {
        "id": str(row.tenant_id),
        "customer": row.tenant.name,
        "step": row.get_step_display(),
        "way": row.way,
        "access": now.access.value,
        "ended": ended,
        "problem": problem,
    }
    lines = [f"{row.tenant.name} ({row.tenant_id}): step {row.number}, {row.get_step_display()}.", now.title]
    lines += [now.text] if now.text else []
    lines += [f"{problem['message']} {problem['advice']}"] if problem else []
    lines += [f"The onboarding is {ended}."] if ended else [now.deadline]
    return document, "\n".join(lines)
