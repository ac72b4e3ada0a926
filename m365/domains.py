"""Custom domains of a customer's organisation (facts/microsoft.md 8).

Least permission by Microsoft's table, application or delegated: Domain.ReadWrite.All; a person also needs the role
Domain Name Administrator. Each write may be repeated: what is there already counts as done.

Microsoft's `forceDelete` is never used: it renames every user, group and app that still has the domain.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import Conflict, NotFound, UmpError
from m365.graph import GraphClient, segment

MOST_NAMED = 5
"""So many of those that keep a domain are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    verified: bool


def find(graph: GraphClient, name: str) -> Domain | None:
    """The domain in this organisation; None when it has none of that name, or not everywhere yet."""
    try:
        return _domain(graph.get(f"/domains/{segment(name)}"), graph)
    except NotFound:
        return None


def add(graph: GraphClient, name: str) -> Domain:
    """Add it, unverified. Raises UmpError: domain_taken when another organisation has it."""
    try:
        return _domain(graph.post("/domains", {"id": name}) or {}, graph)
    except Conflict as error:
        found = find(graph, name)
        if found is None:
            raise UmpError.of("domain_taken", thing=name, detail=error.detail) from error
        return found


def proof(graph: GraphClient, name: str) -> str:
    """The text of the TXT record by which Microsoft knows that the domain's owner agrees."""
    rows = graph.get(f"/domains/{segment(name)}/verificationDnsRecords").get("value")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and str(row.get("recordType", "")).lower() == "txt":
            text = row.get("text")
            # It goes into somebody's name server: nothing but what such a proof looks like.
            if (
                isinstance(text, str)
                and 0 < len(text) <= 255
                and text.isascii()
                and text.isprintable()
                and '"' not in text
            ):
                return text
    raise UmpError.of("bad_reply", host=graph.cloud.graph_host, why="it carries no TXT record")


def verify(graph: GraphClient, name: str) -> str:
    """Ask Microsoft to look the record up. Nothing when the domain is verified, or what Microsoft says is missing.

    Raises UmpError: domain_taken when another organisation has proven it meanwhile.
    """
    try:
        done = _domain(graph.post(f"/domains/{segment(name)}/verify") or {}, graph).verified
        return "" if done else "Microsoft has not finished"
    except Conflict as error:
        raise UmpError.of("domain_taken", thing=name, detail=error.detail) from error
    except UmpError as error:
        if error.code != "graph_refused":
            raise
        found = find(graph, name)
        if found is not None and found.verified:
            return ""
        return str(error.detail.get("microsoft_says", "")) or error.message


def users_of(graph: GraphClient, name: str) -> list[str]:
    """Names of the first things that keep the domain from being removed; none when there is no such domain."""
    pages = graph.pages(f"/domains/{segment(name)}/domainNameReferences")
    rows = itertools.chain.from_iterable(page.value for page in pages)
    try:
        first = list(itertools.islice(rows, MOST_NAMED))
    except NotFound:
        return []
    return [str(row.get("userPrincipalName") or row.get("displayName") or row.get("id")) for row in first]


def remove(graph: GraphClient, name: str) -> None:
    """Remove it; one that is gone is as good. Raises UmpError: domain_in_use."""
    try:
        graph.delete(f"/domains/{segment(name)}")
    except UmpError as error:
        if error.code not in {"graph_refused", "remote_conflict"}:
            raise
        why = ", ".join(users_of(graph, name)) or str(error.detail.get("microsoft_says", ""))
        raise UmpError.of("domain_in_use", thing=name, why=why, detail=error.detail) from error


def _domain(row: Mapping[str, Any], graph: GraphClient) -> Domain:
    name, verified = row.get("id"), row.get("isVerified")
    if not isinstance(name, str) or not isinstance(verified, bool):
        raise UmpError.of("bad_reply", host=graph.cloud.graph_host, why="it describes no domain")
    return Domain(name.lower(), verified)
