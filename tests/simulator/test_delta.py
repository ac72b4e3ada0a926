"""Delta rounds: what they carry, how they are cut into pages, and how their state is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.client import Visitor

Visit = Callable[..., Visitor]
USERS = "/users/delta?$select=displayName,jobTitle"
GROUPS = "/groups/delta?$select=displayName,members"


def _latest(visitor: Visitor, path: str) -> str:
    rows, link = visitor.delta(f"{path}&$deltatoken=latest")
    assert rows == []
    return link


def _somebody(visitor: Visitor, index: int = 0) -> str:
    return str(visitor.inside("GET", f"/users/%23{index}")["id"])


def _group(visitor: Visitor, index: int = 0) -> str:
    return str(visitor.inside("GET", f"/groups/%23{index}")["id"])


def test_the_first_round_brings_everybody_then_nothing(visit: Visit) -> None:
    visitor = visit(users=25, settings={"delta_page_size": 10})

    pages = list(visitor.pages(USERS))
    again, _ = visitor.delta(pages[-1]["@odata.deltaLink"])

    assert [len(page["value"]) for page in pages] == [10, 10, 5]
    assert [("@odata.nextLink" in page, "@odata.deltaLink" in page) for page in pages] == [
        (True, False), (True, False), (False, True),
    ]  # fmt: skip
    assert again == []


def test_a_change_comes_once_with_all_selected_properties(contoso: Visitor) -> None:
    link, user = _latest(contoso, USERS), _somebody(contoso)
    contoso.inside("PATCH", f"/users/{user}", {"jobTitle": "Captain"})

    rows, link = contoso.delta(link)
    later, _ = contoso.delta(link)

    assert [(row["id"], row["jobTitle"], set(row)) for row in rows] == [
        (user, "Captain", {"id", "jobTitle", "displayName"})
    ]
    assert later == []


def test_minimal_answers_bring_only_what_changed(contoso: Visitor) -> None:
    link, user = _latest(contoso, USERS), _somebody(contoso)
    contoso.inside("PATCH", f"/users/{user}", {"jobTitle": "Captain"})

    answer = contoso.get(link, headers={"Prefer": "return=minimal"})

    assert answer.json()["value"] == [{"id": user, "jobTitle": "Captain"}]
    assert answer.headers["Preference-Applied"] == "return=minimal"


def test_properties_not_selected_trigger_nothing(contoso: Visitor) -> None:
    link = _latest(contoso, USERS)
    contoso.inside("PATCH", f"/users/{_somebody(contoso)}", {"city": "Ulm"})

    assert contoso.delta(link)[0] == []


def test_a_deleted_user_leaves_a_tombstone_and_a_restored_one_returns_whole(contoso: Visitor) -> None:
    link, user = _latest(contoso, USERS), _somebody(contoso)
    contoso.inside("DELETE", f"/users/{user}")
    gone, link = contoso.delta(link)
    contoso.inside("POST", f"/users/{user}/restore")
    back, link = contoso.delta(link)
    contoso.inside("DELETE", f"/users/{user}?permanent=1")
    forever, _ = contoso.delta(link)

    assert gone == [{"id": user, "@removed": {"reason": "changed"}}]
    assert set(back[0]) == {"id", "displayName", "jobTitle"}
    assert forever == [{"id": user, "@removed": {"reason": "deleted"}}]


def test_tombstones_can_come_in_the_first_round(contoso: Visitor) -> None:
    user = _somebody(contoso, 3)
    contoso.inside("DELETE", f"/users/{user}")

    rows, _ = contoso.delta(USERS)

    assert {"id": user, "@removed": {"reason": "changed"}} in rows
    assert len(rows) == 30


def test_what_happens_during_a_first_round_comes_with_the_next(visit: Visit) -> None:
    visitor = visit(users=25, settings={"delta_page_size": 10})
    first = visitor.get(USERS).json()
    user = _somebody(visitor, 1)
    visitor.inside("PATCH", f"/users/{user}", {"jobTitle": "Captain"})
    _, link = visitor.delta(first["@odata.nextLink"])

    assert [row["id"] for row in visitor.delta(link)[0]] == [user]


def test_a_delta_can_be_limited_to_some_ids(contoso: Visitor) -> None:
    one, other = _somebody(contoso, 1), _somebody(contoso, 2)
    rows, link = contoso.delta(f"/users/delta?$select=jobTitle&$filter=id%20eq%20'{one}'")
    for user in (one, other):
        contoso.inside("PATCH", f"/users/{user}", {"jobTitle": "Captain"})

    assert [row["id"] for row in rows] == [one]
    assert [row["id"] for row in contoso.delta(link)[0]] == [one]


def test_properties_never_set_are_absent(contoso: Visitor) -> None:
    rows, _ = contoso.delta("/users/delta?$select=mobilePhone")

    assert {frozenset(row) for row in rows} == {frozenset({"id"}), frozenset({"id", "mobilePhone"})}


# Groups and members.


def _memberships(rows: list[dict[str, object]]) -> dict[str, set[str]]:
    """Merge slices by group id, as a client has to."""
    found: dict[str, set[str]] = {}
    for row in rows:
        members = found.setdefault(str(row["id"]), set())
        for entry in row.get("members@delta", []):  # type: ignore[attr-defined]
            (members.discard if "@removed" in entry else members.add)(entry["id"])
    return found


def test_members_come_in_slices_over_pages(visit: Visit) -> None:
    visitor = visit(users=40, groups=3, memberships_per_user=2, settings={"delta_member_slice": 7})

    pages = list(visitor.pages(GROUPS))
    merged = _memberships([row for page in pages for row in page["value"]])

    assert len(pages) > 10
    assert max(len(row.get("members@delta", [])) for page in pages for row in page["value"]) == 7
    assert sum(map(len, merged.values())) == 80
    for group, members in merged.items():
        assert members == {row["id"] for row in visitor.rows(f"/groups/{group}/members?$select=id&$top=999")}


def test_joining_and_leaving_come_as_members_delta(contoso: Visitor) -> None:
    group = _group(contoso)
    inside = contoso.rows(f"/groups/{group}/members?$select=id&$top=999")[0]["id"]
    contoso.inside("POST", f"/groups/{group}/members", {"remove": [inside]})
    link = _latest(contoso, GROUPS)
    contoso.inside("POST", f"/groups/{group}/members", {"add": [inside]})
    joined, link = contoso.delta(link)
    contoso.inside("POST", f"/groups/{group}/members", {"remove": [inside]})
    left, _ = contoso.delta(link)

    assert joined[0]["members@delta"] == [{"@odata.type": "#microsoft.graph.user", "id": inside}]
    assert left[0]["members@delta"][0]["@removed"] == {"reason": "deleted"}


def test_a_deleted_member_is_reported_by_its_groups(contoso: Visitor) -> None:
    group = _group(contoso)
    member = contoso.rows(f"/groups/{group}/members?$select=id&$top=999")[0]["id"]
    link = _latest(contoso, GROUPS)
    contoso.inside("DELETE", f"/users/{member}")
    rows, _ = contoso.delta(link)

    assert len(rows) == 3
    assert all(row["members@delta"][0]["id"] == member for row in rows)
    assert member not in {row["id"] for row in contoso.rows(f"/groups/{group}/members?$select=id")}


def test_a_group_deleted_and_restored_comes_back_with_everybody(contoso: Visitor) -> None:
    rows = contoso.rows("/groups?$select=id,groupTypes")
    group = next(row["id"] for row in rows if row["groupTypes"] == ["Unified"])
    members = {row["id"] for row in contoso.rows(f"/groups/{group}/members?$select=id&$top=999")}
    link = _latest(contoso, GROUPS)
    contoso.inside("DELETE", f"/groups/{group}")
    gone, link = contoso.delta(link)
    contoso.inside("POST", f"/groups/{group}/restore")
    back, _ = contoso.delta(link)

    assert gone == [{"id": group, "@removed": {"reason": "changed"}}]
    assert _memberships(back)[group] == members


@pytest.mark.parametrize("path", ["/groups/delta", "/groups/delta?$expand=members", GROUPS])
def test_three_ways_to_ask_for_members(contoso: Visitor, path: str) -> None:
    assert any("members@delta" in row for row in contoso.delta(path)[0])


def test_without_selecting_members_none_come(contoso: Visitor) -> None:
    assert not any("members@delta" in row for row in contoso.delta("/groups/delta?$select=displayName")[0])


def test_groups_may_not_know_latest(visit: Visit) -> None:
    visitor = visit(users=10, groups=2, settings={"groups_latest": False})

    rows, _ = visitor.delta(f"{GROUPS}&$deltatoken=latest")

    assert len(rows) == 2


# Lost state, and replies that a client must bear.


def test_a_token_of_eight_days_ago_is_410(contoso: Visitor) -> None:
    link = _latest(contoso, USERS)
    contoso.advance(8 * 86_400)
    contoso.renew()

    answer = contoso.get(link)

    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "resyncRequired")
    assert answer.headers["Location"] == "https://graph.microsoft.com/v1.0/users/delta?$deltatoken="


def test_expired_tokens_can_be_ordered(contoso: Visitor) -> None:
    link = _latest(contoso, USERS)
    contoso.inside("POST", "/expire-delta-tokens")

    assert contoso.get(link).status_code == 410
    assert contoso.get(_latest(contoso, USERS)).status_code == 200


def test_an_invented_token_is_unknown_state(contoso: Visitor) -> None:
    answer = contoso.get("/users/delta?$deltatoken=MTIzNDU2")

    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "syncStateNotFound")


@pytest.mark.parametrize(("code", "status"), [("resyncRequired", 410), ("syncStateNotFound", 400)])
def test_410_on_demand(contoso: Visitor, code: str, status: int) -> None:
    link = _latest(contoso, USERS)
    contoso.trouble("gone", code=code, status=status, count=1)

    answer = contoso.get(link)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert contoso.get(link).status_code == 200


def test_adding_options_to_a_link_is_refused(contoso: Visitor) -> None:
    assert contoso.get(_latest(contoso, USERS) + "&$select=mail").status_code == 400


def test_old_changes_can_be_replayed(contoso: Visitor) -> None:
    link, user = _latest(contoso, USERS), _somebody(contoso)
    contoso.inside("PATCH", f"/users/{user}", {"jobTitle": "Captain"})
    _, link = contoso.delta(link)
    contoso.trouble("replay", changes=5, count=1)

    assert [row["id"] for row in contoso.delta(link)[0]] == [user]


def test_objects_can_appear_twice(contoso: Visitor) -> None:
    contoso.trouble("repeat_objects", objects=4)

    rows, _ = contoso.delta(USERS)

    assert len(rows) == 34
    assert len({row["id"] for row in rows}) == 30


def test_a_user_can_come_in_two_parts(visit: Visit) -> None:
    visitor = visit(users=10, settings={"spread_users": 5})

    rows, _ = visitor.delta("/users/delta?$select=displayName,jobTitle,mail,city")
    merged: dict[str, dict[str, object]] = {}
    for row in rows:
        merged.setdefault(row["id"], {}).update(row)

    assert len(rows) == 12
    assert all(set(user) == {"id", "displayName", "jobTitle", "mail", "city"} for user in merged.values())


def test_a_share_of_the_users_can_be_touched(visit: Visit) -> None:
    visitor = visit(users=300, groups=10, memberships_per_user=4)
    link, groups = _latest(visitor, USERS), _latest(visitor, GROUPS)

    touched = visitor.inside("POST", "/touch", {"percent": 1})["touched"]
    moved = visitor.inside("POST", "/touch", {"percent": 1, "kind": "memberships"})["touched"]

    assert touched == len(visitor.delta(link)[0]) == 3
    entries = [entry for row in visitor.delta(groups)[0] for entry in row["members@delta"]]
    assert moved == sum("@removed" in entry for entry in entries)
    assert 6 <= moved <= 20
