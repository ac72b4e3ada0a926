"""Import Customers, as the worker does it."""

from typing import Any

from core.errors import UmpError
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from sbc.models import Sbc
from sites import importing
from sites.import_services import IMPORT, outcome
from sites.importing import Choice, Examined
from tenants.abilities import Ability
from tenants.models import Plan

BATCH = 20
"""Customers of one transaction."""
MOST_TOLD = 200
"""Lines about what was left out that the command keeps."""
_FIGURES = {
    "made": "customers made",
    "joined": "customers joined",
    "skipped": "customers skipped",
    "prefixes": "prefixes taken over",
    "left": "rules left out",
}


@register
class ImportCustomers(Kind):
    """Customers, sites and prefixes out of what the portal has read of an SBC. Nothing is written on the SBC."""

    name = IMPORT
    title = "Import Customers"
    ability = Ability.MANAGE_SBC
    lane = LaneName.DEVICE
    max_attempts = 3
    reconcile = "A batch and the place behind it are one transaction; what was taken over is left alone."

    def run(self, ctx: Context) -> Outcome:
        plan, asker, rest = Plan(ctx.params["plan"]), ctx.asker(), None
        while rest is None or rest:
            with ctx.transaction():
                sbc = Sbc.objects.filter(id=int(ctx.target.partition("/")[0])).first()
                if sbc is None or sbc.rules_digest != ctx.params["digest"]:
                    raise UmpError.of(
                        "conflict",
                        thing=sbc.name if sbc else "the SBC",
                        why="its rules were read anew meanwhile",
                    )
                rest = _choices(ctx, sbc) if rest is None else rest
                batch, rest = rest[:BATCH], rest[BATCH:]
                for one in importing.examine(sbc, batch):
                    _count(ctx, one, *outcome(asker, sbc, one, plan))
                if batch:
                    ctx.checkpoint(**{**ctx.state, "after": batch[-1].proposal.key})
            seen = ctx.state.get("seen", 0)
            ctx.report(done=seen, total=seen + len(rest), label="Customers")
            if rest and ctx.should_yield():
                return Again("Customers are being taken over.")
        return Done(
            _words(ctx.state), "partial" if ctx.state.get("skipped") else "complete", result=_told(ctx)
        )


def _choices(ctx: Context, sbc: Sbc) -> list[Choice]:
    """What is left to do, by key, so that a later slice goes on behind the last one."""
    found = importing.proposals(sbc)
    wanted = {ref: (customer, site) for ref, customer, site in ctx.params["choices"]}
    choices = importing.chosen(found, wanted) if wanted else importing.ready(found)
    choices.sort(key=lambda one: one.proposal.key)
    after = ctx.state.get("after", "")
    return [one for one in choices if one.proposal.key > after]


def _count(ctx: Context, one: Examined, what: str, why: str) -> None:
    told = ctx.state
    told["seen"] = told.get("seen", 0) + 1
    told[what] = told.get(what, 0) + 1
    if what != "skipped":
        told["prefixes"] = told.get("prefixes", 0) + len(one.take)
    told["left"] = told.get("left", 0) + len(one.left)
    lines: list[str] = told.setdefault("lines", [])
    name = one.choice.customer or one.choice.proposal.key
    wanted = [f"{name}: {why}"] if why else []
    wanted += [f"{name}: {rule} is left out, {reason}" for rule, reason in one.left]
    lines += wanted[: max(0, MOST_TOLD - len(lines))]


def _words(told: dict[str, Any]) -> str:
    """ "3 customers made, 1 joined, none skipped; 12 prefixes taken over, 2 rules left out.\""""

    def count(key: str, noun: str, nouns: str) -> str:
        number: int = told.get(key, 0)
        return f"{number:,} {noun if number == 1 else nouns}" if number else f"no {nouns}"

    customers = count("made", "customer", "customers")
    others = ", ".join(f"{told.get(key) or 'none'} {key}" for key in ("joined", "skipped"))
    prefixes, rules = count("prefixes", "prefix", "prefixes"), count("left", "rule", "rules")
    return f"{customers} made, {others}; {prefixes} taken over, {rules} left out."


def _told(ctx: Context) -> dict[str, Any]:
    """As the command's page shows it; `why` is what was left out, and why."""
    found = {words: ctx.state.get(key, 0) for key, words in _FIGURES.items()}
    return {**found, "why": ctx.state.get("lines", [])}
