"""/provider-app and /verify-runs: the same services as the page, and no more reach than the token's."""

import uuid

from django.db import connection
from django.test.utils import CaptureQueriesContext

from replication.models import Command, State
from tenants import provider_app, scope
from tenants.abilities import Role
from tests.api.conftest import Api, ApiMaker
from tests.authstatus.test_verify_all import connected, end
from tests.cast import Cast

APP = {
    "client_id": "0f5dd0e1-64ac-4b51-a1ea-111111111111",
    "redirect_uri": "https://portal.example/authenticate/OAuth2Callback",
    "client_secret": "A8Q~a-secret-of-the-provider-1234567",
}


def test_a_run_from_start_to_end(api: Api, cast: Cast) -> None:
    started = api.post("verify-runs")
    assert started.status == 202, started.text
    assert started.headers["Location"] == started.json["url"]
    assert (started.json["open"], started.json["total"], started.json["done"]) == (True, 2, 0)
    again = api.post("verify-runs")
    assert again.json["id"] == started.json["id"]
    end(cast.contoso)
    end(cast.fabrikam, State.FAILED, "secret_expired")
    done = api.get(started.json["url"]).json
    assert (done["open"], done["done"]) == (False, 2)
    assert (done["counts"]["ok"], done["counts"]["access_failed"]) == (1, 1)
    assert done["ended_at"]
    rows = api.get(f"{done['rows_url']}?limit=1")
    assert [row["tenant_name"] for row in rows.json["results"]] == ["Contoso"]
    last = api.get(rows.json["next"]).json["results"][0]
    assert (last["outcome"], last["problem"]["code"]) == ("access_failed", "secret_expired")
    assert api.get(last["command_url"]).status == 200
    found = api.get(f"{done['rows_url']}?outcome=ok&search=cont").json["results"]
    assert [row["outcome_text"] for row in found] == ["OK"]
    assert [run["id"] for run in api.get("verify-runs").json["results"]] == [done["id"]]


def test_cancelling(api: Api, cast: Cast) -> None:
    url = api.post("verify-runs").json["url"]
    gone = api.delete(url)
    assert (gone.status, gone.json["counts"]["cancelled"], gone.json["open"]) == (202, 2, False)
    assert gone.json["cancelled_by"]
    assert api.delete(url).json["cancelled_at"] == gone.json["cancelled_at"]


def test_reach(api: Api, api_of: ApiMaker, cast: Cast) -> None:
    otto = api_of(Role.OPERATOR, cast.contoso)
    mine = otto.post("verify-runs").json
    assert mine["total"] == 1
    whole = api.post("verify-runs").json
    assert otto.get(whole["url"]).json["total"] == 1
    assert otto.delete(whole["url"]).json["cancelled_at"] is None
    assert api.get(whole["url"]).json["counts"]["waiting"] == 1
    adam = api_of(Role.CUSTOMER_ADMIN, cast.contoso)
    for answer in (adam.get("verify-runs"), adam.post("verify-runs"), adam.get(mine["url"])):
        assert answer.status == 404
    assert api_of(Role.MONITOR).post("verify-runs").status == 403
    assert api.get(f"verify-runs/{uuid.uuid4()}").status == 404


def test_as_many_queries_for_many_rows(api: Api, cast: Cast) -> None:
    def count(url: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert api.get(url).status == 200
        return len(seen)

    few = api.post("verify-runs").json
    for number in range(5):
        connected(f"Branch{number}", cast.contoso)
    many = api.post("verify-runs").json
    assert many["id"] != few["id"]
    assert count(many["rows_url"]) == count(few["rows_url"])
    assert count(many["url"]) == count(few["url"])


def test_the_providers_app(api: Api, api_of: ApiMaker, cast: Cast) -> None:
    empty = api.get("provider-app")
    assert (empty.json["client_id"], empty.json["credential"]) == (None, None)
    kept = api.put("provider-app", APP)
    assert kept.status == 200, kept.text
    assert kept.json["check"]["kind"] == "verify_provider_app"
    assert api.get(kept.json["check"]["url"]).json["state"] == "queued"
    assert APP["client_secret"] not in kept.text + api.get("provider-app").text
    assert kept.json["credential"]["hint"] == "4567"
    stale = api.put("provider-app", APP, If_Match='"v1"')
    assert stale.status == 412
    same = api.put("provider-app", {**APP, "client_secret": ""}, If_Match=kept.headers["ETag"])
    assert same.status == 200
    assert provider_app.current().secret is not None
    assert api_of(Role.OPERATOR).put("provider-app", APP).status == 403
    assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).get("provider-app").status == 404


def test_what_is_wrong_is_named(api: Api, cast: Cast) -> None:
    for change, field in (
        ({"client_secret": APP["client_id"]}, "client_secret"),
        ({"redirect_uri": "http://portal.example/authenticate/OAuth2Callback"}, "redirect_uri"),
        ({"redirect_uri": "https://portal.example/elsewhere"}, "redirect_uri"),
        ({"client_secret": ""}, "client_secret"),
    ):
        answer = api.put("provider-app", APP | change)
        assert answer.status == 422
        assert [error["field"] for error in answer.json["errors"]] == [field]
    with scope.every("a test looks at the provider's commands"):
        assert not Command.objects.filter(tenant=None).exists()
