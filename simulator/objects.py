"""Users and groups out of nothing: each is a pure function of the tenant's seed and its index.

Fifty thousand users therefore cost no memory until someone changes them, and two runs agree on every letter.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import math
from typing import Any

from simulator import skus, words

_EPOCH = datetime.datetime(2017, 1, 2, 8, tzinfo=datetime.UTC)
_BLOCK = len(words.GIVEN_NAMES) * len(words.SURNAMES)
_PLAIN_GIVEN = [words.plain(name) for name in words.GIVEN_NAMES]
_PLAIN_SURNAMES = [words.plain(name) for name in words.SURNAMES]


def digest(*parts: object) -> bytes:
    """32 bytes that stand for these parts and look like chance."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=32).digest()


def guid(raw: bytes) -> str:
    """A version 4 GUID out of the first 16 bytes."""
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[raw[8] & 3]}{h[17:20]}-{h[20:32]}"


def guid_of(*parts: object) -> str:
    """The GUID that belongs to these parts, for ever."""
    return guid(digest(*parts))


def stamp(seconds: float) -> str:
    """Unix seconds as Graph writes a time."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.cache
def _stride(seed: str) -> int:
    """A step that visits every pair of names once before any comes again."""
    step = int.from_bytes(digest(seed, "stride")[:4], "big") % _BLOCK
    while math.gcd(step, _BLOCK) != 1:
        step += 1
    return step


@dataclasses.dataclass(frozen=True, slots=True)
class Maker:
    """What all objects of one tenant share."""

    seed: str
    company: str
    domain: str
    initial_domain: str
    cloud: str
    canary: str

    def user_id(self, index: int) -> str:
        return guid_of(self.seed, "user", index)

    def group_id(self, index: int) -> str:
        return guid_of(self.seed, "group", index)

    def _names(self, index: int) -> tuple[int, int, str]:
        block, offset = divmod(index, _BLOCK)
        place = (offset + 1) * _stride(self.seed) % _BLOCK
        given, family = place % len(words.GIVEN_NAMES), place // len(words.GIVEN_NAMES)
        return given, family, str(block + 1) if block else ""

    def user(self, index: int) -> dict[str, Any]:
        """Every property that user has; what it lacks is absent."""
        raw = digest(self.seed, "user", index)
        given, family, suffix = self._names(index)
        alias = f"{_PLAIN_GIVEN[given]}.{_PLAIN_SURNAMES[family]}{suffix}"
        kind = _kind(raw[17])
        upn = f"{alias}@{self.domain}"
        mail = upn
        if kind == "guest":
            mail = f"{alias}@partner-{raw[18] % 5 + 1}.example"
            upn = f"{mail.replace('@', '_')}#EXT#@{self.initial_domain}"
        created = stamp(_EPOCH.timestamp() + int.from_bytes(raw[19:22], "big") * 15)
        user: dict[str, Any] = {
            "id": guid(raw),
            "userPrincipalName": upn,
            "displayName": f"{words.GIVEN_NAMES[given]} {words.SURNAMES[family]}",
            "givenName": words.GIVEN_NAMES[given],
            "surname": words.SURNAMES[family],
            "mail": mail,
            "mailNickname": alias,
            "accountEnabled": raw[22] > 7,
            "userType": "Guest" if kind == "guest" else "Member",
            "companyName": f"{self.company} (reg. {self.canary})",
            "createdDateTime": created,
            "proxyAddresses": [f"SMTP:{mail}"],
        }
        user.update(_work(raw, kind))
        held = _held(kind, raw[23])
        user["assignedLicenses"] = skus.licences(*held)
        user["assignedPlans"] = skus.plans([sku.id for sku in held], self.cloud, created)
        return user

    def profile(self, index: int) -> tuple[skus.Sku, ...]:
        """The licences user number `index` holds, without building the rest of that user."""
        raw = digest(self.seed, "user", index)
        return _held(_kind(raw[17]), raw[23])

    def group(self, index: int) -> dict[str, Any]:
        """Every property of a group; about half are Microsoft 365 groups, the others security groups."""
        raw = digest(self.seed, "group", index)
        name = _group_name(index, raw)
        alias = f"{words.plain(name)}{index}"
        unified = raw[16] % 2 == 0
        group: dict[str, Any] = {
            "id": guid(raw),
            "displayName": name,
            "description": f"{name} of {self.company} (reg. {self.canary})",
            "createdDateTime": stamp(_EPOCH.timestamp() + int.from_bytes(raw[19:22], "big") * 15),
            "groupTypes": ["Unified"] if unified else [],
            "mailEnabled": unified,
            "mailNickname": alias,
            "securityEnabled": not unified,
            "visibility": "Private" if unified else None,
            "proxyAddresses": [f"SMTP:{alias}@{self.domain}"] if unified else [],
        }
        if unified:
            group["mail"] = f"{alias}@{self.domain}"
        return {key: value for key, value in group.items() if value is not None}


def _kind(byte: int) -> str:
    if byte < 6:
        return "guest"
    return "resource" if byte < 9 else "person"


def _held(kind: str, byte: int) -> tuple[skus.Sku, ...]:
    if kind == "guest" or byte < 16:
        return ()
    if kind == "resource":
        return (skus.PHONE_RESOURCE,)
    if byte < 90:
        return (skus.SPE_E5,)
    return (skus.SPE_E3, skus.PHONE_STANDARD) if byte < 130 else (skus.SPE_E3,)


def _work(raw: bytes, kind: str) -> dict[str, Any]:
    """Where someone works and how to ring there."""
    city, country, name, prefix, language, digits = words.CITIES[raw[24] % len(words.CITIES)]
    number = str(10**digits + int.from_bytes(raw[25:29], "big") % 10**digits)[1:]
    work: dict[str, Any] = {
        "city": city,
        "country": name,
        "usageLocation": country,
        "preferredLanguage": language,
        "department": words.DEPARTMENTS[raw[29] % len(words.DEPARTMENTS)],
        "jobTitle": words.JOB_TITLES[raw[30] % len(words.JOB_TITLES)],
        "officeLocation": words.OFFICES[raw[31] % len(words.OFFICES)],
        "businessPhones": [f"{prefix} {number}"] if kind == "person" else [],
    }
    if raw[18] % 3 == 0:
        work["mobilePhone"] = f"{prefix.split()[0]} 7{number[:2]} {number[2:]}"
    if raw[18] % 4 == 1:
        work["onPremisesSyncEnabled"] = True
    return work


def _group_name(index: int, raw: bytes) -> str:
    department = words.DEPARTMENTS[index % len(words.DEPARTMENTS)]
    city = words.CITIES[raw[17] % len(words.CITIES)][0]
    if raw[18] % 3 == 0:
        return f"Project {words.TEAM_WORDS[raw[24] % len(words.TEAM_WORDS)]} {index + 1}"
    return f"{department} {city}" if index < len(words.DEPARTMENTS) else f"{department} {city} {index}"
