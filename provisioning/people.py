"""Finding the users and groups whom people and machines name."""

import uuid
from collections import defaultdict
from collections.abc import Collection

from django.db.models.functions import Lower

from directory.browse import as_uuid
from directory.models import DirectoryGroup, DirectoryUser
from tenants.models import Tenant

BATCH = 5_000


def users_named(tenant: Tenant, words: Collection[str]) -> dict[str, uuid.UUID]:
    """Object ids by what names them, a user principal name or an object id, whatever its capitals.

    An object id stands for itself, known or not: what is judged later says so. A name that nobody has is left out.
    One query for each 5,000 names.
    """
    found = {word: known for word in words if (known := as_uuid(word)) is not None}
    names = sorted({word.lower() for word in words if word not in found})
    known_as: dict[str, uuid.UUID] = {}
    for at in range(0, len(names), BATCH):
        rows = DirectoryUser.objects.filter(tenant=tenant).annotate(low=Lower("user_principal_name"))
        known_as |= dict(rows.filter(low__in=names[at : at + BATCH]).values_list("low", "object_id"))
    return found | {word: known_as[word.lower()] for word in words if word.lower() in known_as}


def groups_named(tenant: Tenant, words: Collection[str]) -> dict[str, list[str]]:
    """Object ids by a group's name or its object id, as text; several where several groups have that name."""
    found: dict[str, list[str]] = {
        word: [str(known)] for word in words if (known := as_uuid(word)) is not None
    }
    names = sorted({word.casefold() for word in words if word not in found})
    if not names:
        return found
    rows = DirectoryGroup.objects.filter(tenant=tenant).annotate(low=Lower("display_name"))
    known_as = defaultdict(list)
    for name, object_id in rows.filter(low__in=names).values_list("low", "object_id"):
        known_as[name].append(str(object_id))
    return found | {word: known_as[word.casefold()] for word in words if word.casefold() in known_as}
