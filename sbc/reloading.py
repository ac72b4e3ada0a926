"""What a list of OVOC changes in the list of SBCs (facts/audiocodes.md 3.7).

Devices that were added by hand stay as they are, but for one that is clearly the same (one address, or an FQDN that
no other device of OVOC's has): it gets its OVOC id. Nothing is ever removed. Address and FQDN are not changed under a
stored password: it would go elsewhere.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from django.db.models.functions import Now

from accounts.taken import take_turn
from audiocodes.ovoc import Device
from core.errors import InvalidInput
from nameservers import names
from sbc.models import Ovoc, Sbc, usual_port
from sbc.services import DEVICES, checked_address

MOST_NAMED = 20
Summary = dict[str, list[str]]


def apply(devices: Sequence[Device], by: str) -> Summary:
    """Names of devices under added, updated, missing, failed and other address; inside a transaction."""
    take_turn(DEVICES)
    told: Summary = defaultdict(list)
    known = {sbc.ovoc_id: sbc for sbc in Sbc.objects.exclude(ovoc_id=None)}
    manual = list(Sbc.objects.filter(ovoc_id=None))
    seen = set()
    boxes = [device for device in devices if _is_sbc(device)]
    named = Counter(map(_fqdn, boxes))
    for device in boxes:
        seen.add(device.id)
        try:
            address, port = checked_address(device.address)
        except InvalidInput as error:
            told["failed"].append(f"{_name(device)}: {error.fields.get('why', '')}")
            continue
        fqdn = _fqdn(device) if named[_fqdn(device)] == 1 else ""
        sbc = known.get(device.id) or _same(manual, fqdn, address, _port(device, port))
        if sbc is None:
            _add(device, address, port, by, told)
        else:
            manual = [each for each in manual if each != sbc]
            _update(sbc, device, address, port, told)
    for sbc in known.values():
        if sbc.ovoc_id not in seen:
            told["missing"].append(sbc.name)
            Sbc.objects.filter(id=sbc.id, ovoc_missing_since=None).update(ovoc_missing_since=Now())
    Ovoc.objects.filter(id=1).update(reloaded_at=Now())
    return told


def words(told: Summary) -> str:
    """ "2 added, 1 updated, none missing, none failed.\""""
    parts = [f"{len(told.get(key, ())) or 'none'} {key}" for key in ("added", "updated", "missing", "failed")]
    if told.get("other address"):
        parts.append(f"{len(told['other address'])} with another address at OVOC")
    return f"{', '.join(parts)}."


def _is_sbc(device: Device) -> bool:
    product = device.fields.get("product", "").lower()
    return not product or "mediant" in product or "sbc" in product


def _port(device: Device, port: int | None) -> int:
    return port or usual_port(https=device.https is not False)


def _same(manual: list[Sbc], fqdn: str, address: str, port: int) -> Sbc | None:
    """The one that was added by hand and is this device, if exactly one can be; an FQDN only if no other has it."""
    found = [
        sbc
        for sbc in manual
        if (sbc.address, sbc.effective_port) == (address, port) or (fqdn and sbc.fqdn == fqdn)
    ]
    return found[0] if len(found) == 1 else None


def _add(device: Device, address: str, port: int | None, by: str, told: Summary) -> None:
    name = _name(device)
    taken = Sbc.objects.filter(name__iexact=name).exists()
    there = {each.effective_port for each in Sbc.objects.filter(address=address)}
    if taken or _port(device, port) in there:
        told["failed"].append(f"{name}: another SBC has its {'name' if taken else 'address'}")
        return
    Sbc.objects.create(
        name=name,
        address=address,
        port=port,
        https=device.https is not False,
        user=device.fields.get("user", "")[:64],
        ovoc_id=device.id,
        created_by=by,
        next_check_at=None,
        **_facts(device),
    )
    told["added"].append(name)


def _update(sbc: Sbc, device: Device, address: str, port: int | None, told: Summary) -> None:
    values: dict[str, object] = {"ovoc_id": device.id, "ovoc_missing_since": None, **_facts(device)}
    if not values["fqdn"] or (sbc.fqdn and sbc.secret_id is not None):
        del values["fqdn"]
    if (sbc.address, sbc.effective_port) != (address, port or usual_port(https=sbc.https)):
        if sbc.secret_id is None:
            values |= {"address": address, "port": port}
        else:
            told["other address"].append(f"{sbc.name}: {device.address}")
    changed = {name: value for name, value in values.items() if getattr(sbc, name) != value}
    # Unless somebody entered a password since the list was read: that was for the address he saw.
    if changed and Sbc.objects.filter(id=sbc.id, secret=sbc.secret_id).update(**changed):
        told["updated"].append(sbc.name)


def _facts(device: Device) -> dict[str, object]:
    nat = [address for address in device.nat_addresses if address.isprintable()][:10]
    return {"fqdn": _fqdn(device), "nat_addresses": nat, "ovoc": dict(device.fields)}


def _fqdn(device: Device) -> str:
    try:
        return names.checked(device.fqdn, field="fqdn") if device.fqdn else ""
    except InvalidInput:
        return ""


def _name(device: Device) -> str:
    return (device.fields.get("name") or device.fqdn or device.address or f"OVOC {device.id}")[:120]
