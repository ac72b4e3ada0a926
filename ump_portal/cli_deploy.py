"""`ump deploy` and `ump undo-deploy`: seen first, decided on by the plan's fingerprint, or by a person's script."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ump_portal.cli_tenant import Add, Answer, Find, Who

if TYPE_CHECKING:
    from deployment.models import Run
    from tenants.models import Tenant

POLL_SECONDS = 1.0


def arguments(add: Add, commands: Any, who: Who, find: Find) -> None:
    """Add the subcommands; `who` acts, and `find` opens the scope of the customer that somebody named."""
    for word, act, what in (
        ("deploy", "deploy", "a customer's sites on their SBCs, and its voice routing in Teams"),
        ("undo-deploy", "undo", "take away what Deploy created"),
    ):
        added = add(commands, word, _run(act, who, find), what)
        added.add_argument("tenant", help="id, name or domain")
        how = added.add_mutually_exclusive_group()
        how.add_argument("--plan", default="", help="carry out the plan of this fingerprint")
        how.add_argument("--show", action="store_true", help="the newest look or run, without another look")
        how.add_argument("--script", choices=["verify", "ready"], help="print a script for a person")
        how.add_argument(
            "--verify", action="store_true", help="read the Verify script's line from standard input"
        )
        how.add_argument(
            "--set-aside", action="store_true", help="set aside the plan, or the wait for a script"
        )
        added.add_argument("--take-over", action="store_true", help="look again, changing what is in the way")


def _run(act: str, who: Who, find: Find) -> Callable[[argparse.Namespace], Answer]:
    def run(options: argparse.Namespace) -> Answer:
        from deployment import services  # noqa: PLC0415  Django first
        from deployment.models import Act  # noqa: PLC0415  as above

        tenant = find(options.tenant)
        if options.plan:
            found = _follow(services.decide(who(), tenant, Act(act), options.plan))
        elif options.verify:
            found = services.verify(who(), tenant, sys.stdin.read())
        elif options.show or options.script:
            found = _newest(tenant, act)
        elif options.set_aside:
            found = _newest(tenant, act)
            services.set_aside(who(), found)
            found = _newest(tenant, act)
        else:
            found = _follow(services.look(who(), tenant, Act(act), take_over=options.take_over))
        if options.script:
            text = services.script(found, verify=options.script == "verify")
            return {"script": text}, text
        return _told(found)

    return run


def _newest(tenant: "Tenant", act: str) -> "Run":
    """Raises NotFound."""
    from core.errors import NotFound  # noqa: PLC0415  Django first
    from deployment import selectors  # noqa: PLC0415  as above
    from deployment.models import Act  # noqa: PLC0415  as above

    found = selectors.newest_of(tenant, Act(act))
    if found is None:
        raise NotFound(thing="deployment")
    return found


def _follow(run: "Run") -> "Run":
    """Until it stands: workers do it."""
    from deployment.selectors import Shown  # noqa: PLC0415  Django first

    while Shown(run).busy:
        time.sleep(POLL_SECONDS)
        run.refresh_from_db()
    return run


def _told(run: "Run") -> Answer:
    from deployment import selectors, services  # noqa: PLC0415  Django first
    from deployment.models import RunState  # noqa: PLC0415  as above

    shown = selectors.Shown(run)
    error = services.obstacle(run) if run.state == RunState.PLANNED else None
    steps = [
        {"action": each.step.action.value, "thing": str(each.step.thing), "why": each.step.why}
        for each in shown.steps
    ]
    document = {
        "act": run.act,
        "state": run.state,
        "plan": run.plan,
        "by_hand": run.by_hand,
        "told": run.told,
        "sites": run.sites,
        "steps": steps,
        "obstacle": dict(error.to_dict()) if error else None,
        "problem": run.problem,
    }
    lines = [f"{run.get_act_display()}: {shown.chip[1]}"]
    lines += [f"  {part['name']}: {part.get('told') or 'not possible'}" for part in run.sites]
    lines += [f"  {each['action']:<8} {each['thing']}: {each['why']}" for each in steps]
    lines += [run.told] if run.told else []
    lines += [f"{error.message} {error.advice}"] if error else []
    if run.state == RunState.PLANNED and error is None:
        lines.append(f"To carry it out: --plan {run.plan}")
    return document, "\n".join(lines)
