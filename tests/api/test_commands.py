"""/commands, /queue, /audit and what queues work."""

import pytest

from audit.models import Entry
from replication import services as queue
from replication.models import Command
from tenants import scope
from tenants.abilities import Ability, Role
from tenants.access import SYSTEM
from tests.api.conftest import Api, ApiMaker
from tests.cast import CANARY_FABRIKAM, Cast


def base(cast: Cast) -> str:
    return f"tenants/{cast.contoso.id}"


def set_aside(command: Command, **fields: object) -> None:
    with scope.one(command.tenant_id):  # type: ignore[arg-type]  # it has one
        Command.objects.filter(id=command.id).update(**fields)


@pytest.mark.parametrize(
    ("body", "kind", "dry_run"),
    [
        ({}, "quick_replication", False),
        (None, "quick_replication", False),
        ({"full": True}, "sync", False),
        ({"dry_run": True}, "sync", True),
        ({"dry_run": True, "full": True}, "sync", True),
    ],
)
def test_queue_a_replication(
    api: Api, cast: Cast, body: dict[str, bool] | None, kind: str, dry_run: bool
) -> None:
    answer = api.post(f"{base(cast)}/replications", body)
    assert answer.status == 202, answer.text
    found = api.get(answer.headers["Location"])
    assert (found.json["kind"], found.json["dry_run"]) == (kind, dry_run)
    assert found.json["queued_by"] == "Client provider_admin"


def test_a_second_wish_joins_the_first(api: Api, cast: Cast) -> None:
    first, second = (api.post(f"{base(cast)}/replications") for _ in range(2))
    assert first.json["number"] == second.json["number"]


@pytest.mark.parametrize("body", [{"dry_run": "perhaps"}, {"full": 1}, {"dryrun": True}, [], '"text"', 7])
def test_a_replication_names_what_is_wrong(api: Api, cast: Cast, body: object) -> None:
    assert api.post(f"{base(cast)}/replications", body).status == 422


def test_who_may_queue_work(api_of: ApiMaker, cast: Cast) -> None:
    for path in ("replications", "process-all", "connection/check"):
        assert api_of(Role.MONITOR).post(f"{base(cast)}/{path}").status == 403
        assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).post(f"{base(cast)}/{path}").status == 404
        assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).post(f"{base(cast)}/{path}").status in {200, 202}


def test_process_all(api: Api, cast: Cast) -> None:
    import datetime as dt

    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "quick_replication", cast.contoso, delay=dt.timedelta(minutes=5))
    assert api.post(f"{base(cast)}/process-all").json == {"made_due": 1}
    assert api.post(f"{base(cast)}/process-all").json == {"made_due": 0}


def test_lists_of_commands(api: Api, api_of: ApiMaker, cast: Cast, command: Command) -> None:
    other = api.post(f"tenants/{cast.fabrikam.id}/replications").json["number"]
    everything = api.get("commands").json["results"]
    assert [row["number"] for row in everything] == [other, command.id]
    assert everything[0]["tenant_name"] == "Fabrikam"
    mine = api_of(Role.CUSTOMER_ADMIN, cast.contoso).get("commands")
    assert [row["number"] for row in mine.json["results"]] == [command.id]
    assert CANARY_FABRIKAM not in mine.text
    assert [row["number"] for row in api.get(f"{base(cast)}/commands").json["results"]] == [command.id]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("state=queued", 1),
        ("state=open", 1),
        ("state=failed", 0),
        ("kind=verify_credentials", 1),
        ("kind=sync", 0),
        ("dry_run=true", 0),
        ("search=contoso", 1),
        ("search=fabrikam", 0),
        ("queued_after=2020-01-01T00:00:00Z", 1),
        ("queued_before=2020-01-01T00:00:00Z", 0),
    ],
)
def test_filters(api: Api, cast: Cast, command: Command, query: str, number: int) -> None:
    for path in ("commands", f"{base(cast)}/commands"):
        answer = api.get(f"{path}?{query}")
        assert answer.status == 200, answer.text
        assert len(answer.json["results"]) == number


@pytest.mark.parametrize("query", ["state=lost", "kind=rm", "queued_after=yesterday", "tenant=1", "lane=1"])
def test_filters_that_are_none(api: Api, query: str) -> None:
    assert api.get(f"commands?{query}").fields == {query.split("=", maxsplit=1)[0]}


def test_one_command(api: Api, api_of: ApiMaker, cast: Cast, command: Command) -> None:
    path = f"{base(cast)}/commands/{command.id}"
    answer = api.get(path)
    assert answer.status == 200, answer.text
    assert (answer.json["state"], answer.json["next_execution"]) == ("queued", "Now")
    assert api.get(f"commands/{command.id}").json == answer.json
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).get(path).status == 404
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).get(f"commands/{command.id}").status == 404
    crossed = api.get(f"tenants/{cast.fabrikam.id}/commands/{command.id}")
    assert (crossed.status, crossed.code) == (404, "not_found")
    for absent in ("0", "999999", "9" * 40, "-1", "x"):
        assert api.get(f"{base(cast)}/commands/{absent}").status == 404
        assert api.get(f"commands/{absent}").status == 404


def test_a_commands_error_is_told_to_everybody_and_our_machines_to_the_provider(
    api: Api, api_of: ApiMaker, cast: Cast, command: Command
) -> None:
    error = {
        "code": "secret_expired",
        "message": "The secret has expired.",
        "advice": "Make a new one.",
        "who": "customer_admin",
        "detail": {"microsoft_code": "AADSTS7000222", "worker": "worker-7"},
    }
    set_aside(command, error=error)
    path = f"{base(cast)}/commands/{command.id}"
    assert api.get(path).json["error"]["detail"]["worker"] == "worker-7"
    theirs = api_of(Role.CUSTOMER_ADMIN, cast.contoso).get(path).json["error"]
    assert theirs["detail"] == {"microsoft_code": "AADSTS7000222"}
    assert theirs["advice"] == "Make a new one."


def test_steps(api: Api, api_of: ApiMaker, cast: Cast, command: Command) -> None:
    path = f"{base(cast)}/commands/{command.id}/steps"
    assert [row["text"] for row in api.get(path).json["results"]] == ["Queued by UMP Portal."]
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).get(path).status == 404
    assert api.get(f"tenants/{cast.fabrikam.id}/commands/{command.id}/steps").status == 404


def test_cancel(api: Api, cast: Cast, command: Command) -> None:
    path = f"{base(cast)}/commands/{command.id}"
    answer = api.post(f"{path}/cancel")
    assert (answer.status, answer.json["state"]) == (202, "cancelled")
    again = api.post(f"{path}/cancel")
    assert (again.status, again.code) == (409, "illegal_move")


def test_retry(api: Api, cast: Cast, command: Command) -> None:
    path = f"{base(cast)}/commands/{command.id}"
    assert api.post(f"{path}/retry").code == "illegal_move"
    api.post(f"{path}/cancel")
    again = api.post(f"{path}/retry")
    assert again.status == 202
    assert again.json["number"] != command.id
    assert api.get(again.headers["Location"]).json["retry_of"] == command.id


def test_who_may_cancel_and_retry(api_of: ApiMaker, cast: Cast, command: Command) -> None:
    for act in ("cancel", "retry"):
        path = f"{base(cast)}/commands/{command.id}/{act}"
        assert api_of(Role.MONITOR).post(path).status == 403
        assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).post(path).status == 404
        crossed = f"tenants/{cast.fabrikam.id}/commands/{command.id}/{act}"
        assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).post(crossed).status == 404


def test_a_command_of_the_provider_is_cancelled_and_repeated(
    api: Api, api_of: ApiMaker, cast: Cast, command: Command
) -> None:
    with scope.every("the provider's own work"):
        number = queue.submit(SYSTEM, "renew_all_secrets", None).id
    path = f"commands/{number}"
    for act in ("cancel", "retry"):
        assert api_of(Role.MONITOR).post(f"{path}/{act}").status == 403
        assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).post(f"{path}/{act}").status == 404
        assert api.post(f"commands/{command.id}/{act}").status == 404  # a customer's, below its customer
    assert api.post(f"{path}/cancel").json["state"] == "cancelled"
    again = api.post(f"{path}/retry")
    assert (again.status, api.get(again.headers["Location"]).json["retry_of"]) == (202, number)
    assert "Cancelling was asked for" in api.get(f"{path}/steps").json["results"][-1]["text"]


def test_a_token_may_not_repeat_what_it_may_not_ask_for(
    api_of: ApiMaker, cast: Cast, command: Command
) -> None:
    api = api_of(scopes=[Ability.MANAGE_QUEUE, Ability.VIEW_QUEUE])
    path = f"{base(cast)}/commands/{command.id}"
    assert api.post(f"{path}/cancel").status == 202
    assert api.post(f"{path}/retry").code == "not_allowed"


def test_queue_counts_and_its_switch(api: Api, api_of: ApiMaker, cast: Cast, command: Command) -> None:
    found = api.get("queue").json
    assert (found["open"], found["queued"], found["paused"]) == (1, 1, False)
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).get("queue").json["open"] == 0
    paused = api.post("queue/pause")
    assert (paused.status, paused.json["paused_by"]) == (200, "Client provider_admin")
    assert api.get(f"{base(cast)}/commands/{command.id}").json["next_execution"] == "paused"
    assert api.post("queue/resume").json["paused"] is False


def test_who_may_pause_everything(api_of: ApiMaker, cast: Cast) -> None:
    for act in ("pause", "resume"):
        assert api_of(Role.OPERATOR).post(f"queue/{act}").status == 403
        assert api_of(Role.PROVIDER_ADMIN, cast.contoso).post(f"queue/{act}").status == 403
        assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).post(f"queue/{act}").status == 404


def test_the_trail(api: Api, api_of: ApiMaker, cast: Cast) -> None:
    api.post("queue/pause")
    api.post(f"{base(cast)}/pause")
    api.post(f"tenants/{cast.fabrikam.id}/pause")
    actions = [row["action"] for row in api.get("audit?limit=3").json["results"]]
    assert actions == ["tenant.paused", "tenant.paused", "queue.paused"]
    theirs = api_of(Role.CUSTOMER_ADMIN, cast.contoso).get("audit")
    assert {row["tenant_id"] for row in theirs.json["results"]} == {str(cast.contoso.id)}
    assert "Fabrikam" not in theirs.text
    both = api.get(f"audit?tenant={cast.fabrikam.id}&action=tenant.paused&object_kind=tenant").json["results"]
    assert len(both) == 1
    foreign = api_of(Role.CUSTOMER_ADMIN, cast.contoso).get(f"audit?tenant={cast.fabrikam.id}")
    assert foreign.json["results"] == []
    with scope.every("a test counts"):
        assert Entry.objects.filter(action="tenant.paused").count() == 2


def test_an_operator_for_some_customers_sees_those(api_of: ApiMaker, cast: Cast, command: Command) -> None:
    api = api_of(Role.OPERATOR, cast.contoso)
    assert {row["tenant_id"] for row in api.get("audit").json["results"]} == {str(cast.contoso.id)}
    assert [row["number"] for row in api.get("commands").json["results"]] == [command.id]
