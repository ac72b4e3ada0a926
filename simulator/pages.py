"""A page for people at the simulator's own address: who is there, how they are, and buttons that cause trouble."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable

from simulator import html
from simulator.control import actions
from simulator.http1 import Request, Response
from simulator.mailbox import MailServer
from simulator.outbox import Outbox
from simulator.tenant import BadRequestError, Tenant
from simulator.world import World


def _change(world: World, tenant: Tenant) -> str:
    with tenant.directory.lock:
        user = actions.change_somebody(world, tenant)
    return f"{user['displayName']} is now {user['jobTitle']} in {user['department']}."


def _withdraw(world: World, tenant: Tenant) -> str:
    actions.withdraw_consent(world, tenant)
    return "Consent is withdrawn: new tokens carry no permissions."


def _expire(world: World, tenant: Tenant) -> str:
    actions.expire_secret(world, tenant)
    return "The client secret expired yesterday."


def _throttle(world: World, tenant: Tenant) -> str:
    actions.throttle(world, tenant)
    return "Graph now answers every request with 429."


def _forget(world: World, tenant: Tenant) -> str:
    tenant.delta_tokens_from = world.now()
    return "Every delta link is expired: the next one used gets 410."


def _heal(world: World, tenant: Tenant) -> str:
    actions.heal(world, tenant)
    return "All trouble is over."


ACTIONS: dict[str, tuple[str, Callable[[World, Tenant], str]]] = {
    "change": ("Change a user", _change),
    "withdraw": ("Withdraw consent", _withdraw),
    "expire": ("Expire the secret", _expire),
    "throttle": ("Throttle", _throttle),
    "forget": ("Expire delta links", _forget),
    "heal": ("Heal", _heal),
}


class Pages:
    """The page and its buttons."""

    def __init__(self, world: World, mail: MailServer) -> None:
        self._world, self._outbox = world, Outbox(mail)

    def handle(self, request: Request) -> Response:
        mailed = self._outbox.handle(request)
        if mailed is not None:
            return mailed
        if request.path == "/" and request.method == "GET":
            return self._list(request.query().get("done", ""))
        if request.path == "/act" and request.method == "POST":
            return self._act(request)
        return html.page(
            "Not found",
            '<p>There are <a href="/">the tenants</a> and <a href="/outbox">the outbox</a>.</p>',
            404,
        )

    def _list(self, done: str) -> Response:
        tenants = sorted(self._world.tenants.values(), key=lambda tenant: tenant.name)
        banner = f'<p class="banner" role="status">{html.escape(done)}</p>' if done else ""
        rows = "".join(self._row(tenant) for tenant in tenants)
        heads = "".join(
            f'<th scope="col">{head}</th>' for head in ("Tenant", "Size", "State", "Do something")
        )
        body = (
            '<p class="note">A pretend Microsoft 365. Everyone and everything here is invented. '
            "What the buttons do can also be done by the control API under "
            '<a href="/_sim/"><code>/_sim/</code></a>. Mails are in the <a href="/outbox">Outbox</a>.</p>'
            f'{banner}<div class="wide"><table><caption class="note">{len(tenants)} tenants</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        )
        return html.page("Microsoft 365 simulator", body)

    def _row(self, tenant: Tenant) -> str:
        directory, name = tenant.directory, html.escape(tenant.name)
        size = f"{directory.users.live_count():,} users, {directory.groups.live_count():,} groups"
        buttons = "".join(
            f'<button name="action" value="{key}" aria-label="{label}: {name}">{label}</button>'
            for key, (label, _) in ACTIONS.items()
        )
        form = f'<form method="post" action="/act">{html.hidden({"tenant": tenant.id})}{buttons}</form>'
        about = (
            f"<small>{html.escape(tenant.domain)}<br><code>{tenant.id}</code><br>{tenant.cloud.name}</small>"
        )
        state = html.escape(actions.state_word(self._world, tenant))
        return (
            f'<tr><th scope="row">{name}<br>{about}</th><td>{size}</td><td>{state}</td><td>{form}</td></tr>'
        )

    def _act(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site":
            return html.page("Refused", "<p>This button was pressed on another site.</p>", 403)
        form = request.form()
        tenant = self._world.find(form.get("tenant", ""))
        _, act = ACTIONS.get(form.get("action", ""), ("", None))
        if tenant is None or act is None:
            return html.page("Not found", '<p>No such tenant or action. <a href="/">Back</a></p>', 404)
        try:
            done = f"{tenant.name}: {act(self._world, tenant)}"
        except BadRequestError as error:
            done = f"{tenant.name}: {error}."
        return html.redirect(f"/?done={urllib.parse.quote(done)}")
