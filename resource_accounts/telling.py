"""What other systems are told of resource accounts. Call it last in the transaction of what it tells."""

from core.errors import UmpError
from events.models import Type
from events.services import tell
from resource_accounts.models import Design


def built(design: Design, *, first: bool, command: int | None = None) -> None:
    """It answers as designed: for the first time, or in another way than before."""
    type_ = Type.RESOURCE_ACCOUNT_CREATED if first else Type.CALL_FLOW_CHANGED
    tell(type_, design.tenant_id, _of(design, command))


def removed(design: Design, command: int | None = None) -> None:
    """What the portal made of it is gone, or a person says so."""
    tell(Type.RESOURCE_ACCOUNT_REMOVED, design.tenant_id, _of(design, command))


def failed(design: Design, error: UmpError, command: int | None) -> None:
    """Building it, or taking it away, stopped, perhaps for a person. The command is None where it is forgotten."""
    tell(Type.RESOURCE_ACCOUNT_FAILED, design.tenant_id, _of(design, command) | {"code": error.code})


def _of(design: Design, command: int | None) -> dict[str, object]:
    return {
        "design": str(design.uid),
        "type": design.kind,
        "name": design.name,
        "account": design.upn,
        "number": design.number,
        "by_hand": design.by_hand,
        "command": command,
    }
