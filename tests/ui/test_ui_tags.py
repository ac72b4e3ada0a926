"""The tags escape what they are given, and say what they must."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone
from django.utils.dateformat import format as format_date

from core.errors import UmpError

EVIL = "<script>alert('x')</script> & \"Sons\""
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def render(source: str, address: str = "/tenants", **context: Any) -> str:
    context["request"] = RequestFactory().get(address)
    return Template("{% load ui pictures %}" + source).render(Context(context))


@pytest.mark.parametrize(
    "source",
    [
        '{% chip "ok" evil hint=evil %}',
        "{% chip evil evil %}",
        "{% tag evil evil %}",
        "{% missing evil %}",
        "{% value evil %}",
        "{% yes_no True yes=evil %}",
        "{% stat evil evil hint=evil url=evil %}",
        "{% progress 1 2 evil %}",
        "{% copy evil evil %}",
        "{% more evils 1 %}",
        '{% note "warn" evil title=evil url=evil label=evil %}',
        "{% empty evil evil url=evil label=evil %}",
        "{% error_box error %}",
        "{% kv pairs %}",
        "{% steps steps %}",
        "{% wizard steps %}",
        "{% live evil 2 %}",
        "{% query evil=evil %}",
        '{% kept_query "q" %}',
        "{% sort_header evil evil %}",
        "{% health_bar shares evil %}",
        "{% horizon shares evil %}",
        "{% sparkline figures evil %}",
        "{% activity_plot buckets evil %}",
        "{% checks_plot buckets evil %}",
        '{% include "partials/row_menu.html" with id="1" name=evil actions=actions only %}',
        '{% include "partials/filter_chips.html" with chips=actions clear_url=evil %}',
        '{% inline "partials/filter_chips.html" with chips=actions clear_url=evil %}',
    ],
)
def test_no_tag_lets_markup_through(source: str) -> None:
    share = {"label": EVIL, "tone": EVIL, "count": 3, "url": EVIL}
    html = render(
        source,
        "/tenants?x=%3Cscript%3E&q=a",
        evil=EVIL,
        evils=[EVIL, EVIL],
        error={"message": EVIL, "advice": EVIL, "who": EVIL, "code": EVIL, "detail": {EVIL: EVIL}, "action_url": EVIL,
               "action_label": EVIL},
        pairs=[(EVIL, EVIL, EVIL)],
        steps=[{"title": EVIL, "state": "current", "text": EVIL}],
        shares=[share, share],
        figures=[1, 5, 2],
        buckets=[{"label": EVIL, "succeeded": 1, "suspended": 2, "unsure": 2, "failed": 3}],
        actions=[{"label": EVIL, "url": EVIL, "icon": "pencil"}],
    )  # fmt: skip
    assert "<script" not in html
    assert '& "Sons"' not in html


@pytest.mark.parametrize(("tone", "icon"), [("ok", "m9 12 2 2 4-4"), ("bad", "m15 9-6 6")])
def test_a_chip_is_icon_word_colour_and_tooltip(tone: str, icon: str) -> None:
    html = render('{% chip tone "Successful" hint="Checked now" %}', tone=tone)
    assert icon in html
    assert f'data-tone="{tone}"' in html
    assert ">Successful<" in html
    assert 'title="Checked now"' in html
    assert '<span class="vh">: Checked now</span>' in html


def test_an_unknown_tone_is_neutral() -> None:
    assert 'data-tone="neutral"' in render('{% chip "purple" "Odd" %}')


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(seconds=-10), "just now"),
        (timedelta(seconds=-50), "1 min ago"),
        (timedelta(minutes=-59, seconds=-59), "59 min ago"),
        (timedelta(hours=-1), "1 hour ago"),
        (timedelta(days=-3), "3 days ago"),
        (timedelta(days=-60), "21 Sep 2026"),
        (timedelta(seconds=20), "in a moment"),
        (timedelta(days=9), "in 9 days"),
        (timedelta(days=1, hours=2), "in 1 day"),
    ],
)
def test_ago_is_relative_with_the_exact_time_beside_it(ahead: timedelta, words: str) -> None:
    with time_machine.travel(NOW, tick=False):
        html = render("{% ago at %}", at=NOW + ahead)
    assert f">{words}</time>" in html
    assert 'title="' in html


def test_exact_times_have_the_formats_of_the_screens() -> None:
    at = datetime(2023, 3, 9, 15, 38, 41, tzinfo=timezone.get_current_timezone())
    assert "March 9th 2023, 15:38" in render("{% when at %}", at=at)
    for day in range(1, 32):
        some = at.replace(month=day % 6 * 2 + 1, day=day)
        assert format_date(some, "F jS Y, H:i") in render("{% when at %}", at=some), "as Django writes it"
    assert "2023.03.09.15:38:41" in render('{% when at "stamp" %}', at=at)
    assert "2023-03-09" in render('{% when at "date" %}', at=at)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('{% ago None none="not yet" %}', "not yet"),
        ("{% when None %}", "never"),
        ("{% value None %}", "none"),
        ('{% value "" none="not set" %}', "not set"),
        ("{% count None %}", "-N/A-"),
        ("{% more nothing %}", "none"),
        ("{% yes_no None %}", "unknown"),
    ],
)
def test_a_missing_value_is_a_word(source: str, word: str) -> None:
    assert render(source, nothing=[]) == f'<span class="missing">{word}</span>'


def test_figures() -> None:
    assert render("{% count 20000 %}") == "20,000"
    assert render("{% count 0 %}") == "0"
    assert render("{% value 0 %}") == "0"
    assert "9,000 of 20,000 (45%)" in render('{% progress 9000 20000 "Users" %}')
    assert "<progress aria-label" in render('{% progress 5 None "Users" %}')


def test_a_header_sorts_and_says_so() -> None:
    up = render('{% sort_header "Customer Name" "name" %}', "/tenants?q=fab&sort=name&page=3")
    assert 'aria-sort="ascending"' in up
    assert 'href="?q=fab&amp;sort=-name"' in up
    down = render('{% sort_header "Customer Name" "name" %}', "/tenants?sort=-name")
    assert 'aria-sort="descending"' in down
    other = render('{% sort_header "Customer Name" "name" %}', "/tenants?sort=state")
    assert "aria-sort" not in other
    assert 'aria-sort="ascending"' in render('{% sort_header "Name" "name" %}', sort="name")


def test_query_changes_only_what_it_is_told() -> None:
    assert (
        render("{% query page=2 q=None %}", "/tenants?q=x&status=ok&status=bad")
        == "?status=ok&amp;status=bad&amp;page=2"
    )


def test_kept_query_leaves_out_the_page_and_the_named() -> None:
    html = render('{% kept_query "q" "size" %}', "/tenants?q=x&size=25&page=4&sort=-name")
    assert html == '<input type="hidden" name="sort" value="-name">'


def test_the_pager_counts_in_words() -> None:
    html = render("{% pager page %}", "/tenants?q=x&page=2", page=Paginator(range(240), 10).page(2))
    assert "Showing 11 to 20 of 240 entries" in html
    assert 'href="?q=x&amp;page=1"' in html
    assert 'aria-current="page">2</a>' in html
    assert ">Previous</a>" in html
    assert ">Next</a>" in html


def test_an_empty_list_still_counts() -> None:
    html = render("{% pager page %}", page=Paginator([], 10).get_page(1))
    assert "Showing 0 to 0 of 0 entries" in html
    assert "Next" not in html


def test_the_page_size_of_the_address_is_chosen() -> None:
    assert '<option value="25" selected>25</option>' in render("{% page_sizes %}", "/tenants?size=25")
    assert '<option value="10" selected>10</option>' in render("{% page_sizes %}")


@pytest.mark.parametrize(
    ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ('"><script>', "auto"), (None, "auto")]
)
def test_the_theme_comes_from_the_cookie(cookie: str | None, theme: str) -> None:
    request = RequestFactory().get("/")
    if cookie is not None:
        request.COOKIES["ump_theme"] = cookie
    assert Template("{% load ui %}{% theme %}").render(Context({"request": request})) == theme
    assert Template("{% load ui %}{% theme %}").render(Context()) == "auto"


def test_pictures_say_what_they_show_and_have_a_table() -> None:
    buckets = [{"label": "09:00", "succeeded": 5, "suspended": 1, "failed": 0}] * 2
    html = render("{% activity_plot buckets %}", buckets=buckets)
    said = "10 succeeded, 2 waiting for you, 0 failed; at most 6 at a time"
    assert f'aria-label="Queue activity from 09:00 to 09:00: {said}"' in html
    assert "Show as table" in html
    assert html.count("<tr>") == 3
    assert "style=" not in html


@pytest.mark.parametrize(
    "source",
    [
        "{% activity_plot nothing %}",
        "{% checks_plot nothing %}",
        "{% health_bar nothing %}",
        '{% sparkline nothing "Rate" %}',
    ],
)
def test_pictures_of_nothing_say_so(source: str) -> None:
    assert 'class="muted"' in render(source, nothing=[])


def test_an_error_says_who_can_fix_it_in_words() -> None:
    html = render(
        "{% error_box error %}",
        error=UmpError.of("secret_expired", detail={"Microsoft code": "AADSTS7000222"}),
    )
    assert "The customer&#x27;s administrator" in html
    assert "AADSTS7000222" in html
    assert "<code>secret_expired</code>" in html


def test_an_inlined_part_shows_what_an_included_one_shows() -> None:
    part = '"partials/filter_chips.html" with chips=found clear_url="/all"'
    found = [{"label": "Failed", "url": "?"}]
    inlined = render(f"{{% inline {part} %}}{{{{ clear_url }}}}", found=found)
    assert inlined == render(f"{{% include {part} %}}", found=found)
    assert "Failed" in inlined
