"""Template tags for the parts every screen is made of: `{% load ui %}`.

Each tag returns escaped HTML; text given by people or by Microsoft may be passed as it is. The pictures are in
`pictures.py`, the bigger parts in `templates/partials/`, all of them shown in every state at `/styleguide`.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape as plain_escape
from typing import Any
from urllib.parse import urlencode

import lucide as lucide_icons
from django import template
from django.core.paginator import Page
from django.forms import BoundField
from django.http import QueryDict
from django.template import Engine
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.template.context import Context, RequestContext
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from core.kinds import WHO_IN_WORDS

register = template.Library()

TONE_ICONS = {
    "ok": "circle-check",
    "warn": "triangle-alert",
    "bad": "circle-x",
    "info": "info",
    "busy": "loader",
    "neutral": "circle-dashed",
}
MESSAGE_TONES = {"success": "ok", "warning": "warn", "error": "bad", "info": "info", "debug": "neutral"}
STEP_ICONS = {
    "done": ("ok", "circle-check", "Done"),
    "running": ("busy", "loader", "Running"),
    "failed": ("bad", "circle-x", "Failed"),
    "suspended": ("warn", "circle-pause", "Waiting for you"),
    "skipped": ("neutral", "circle-minus", "Skipped"),
    "waiting": ("neutral", "circle-dashed", "Not yet"),
}
THEMES = ("light", "dark", "auto")
PAGE_SIZES = (10, 25, 50, 100)
UNKNOWN_COUNT = "-N/A-"
MONTH_SECONDS = 31 * 86_400
ORDINALS = {1: "st", 2: "nd", 3: "rd"}
STYLES = {"stamp": "%Y.%m.%d.%H:%M:%S", "date": "%Y-%m-%d"}
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "min"))


def html(pattern: str, *parts: object) -> SafeString:
    """As Django's `format_html`, at a third of its cost: a page has hundreds."""
    return SafeString(pattern.format(*[safe(part) for part in parts]))


def html_join(between: str, pattern: str, rows: Iterable[Sequence[object]]) -> SafeString:
    """As Django's `format_html_join`; `between` is ours and is not escaped."""
    return SafeString(between.join([pattern.format(*[safe(part) for part in row]) for row in rows]))


def safe(part: object) -> str:
    """Escaped, unless it says that it is HTML."""
    kind = type(part)
    if kind is SafeString or kind is int:
        return str(part)
    return plain_escape(part) if kind is str else conditional_escape(part)  # type: ignore[arg-type]  # it is a str


@functools.lru_cache(maxsize=1024)
def draw(name: str, size: int = 16, css: str = "") -> SafeString:
    """The Lucide icon called `name`, `size` pixels wide, hidden from assistive technology; drawn once a process.

    Raises `lucide.IconDoesNotExist` for an unknown name: a wrong icon is a bug of the template.
    """
    attrs: dict[str, object] = {"aria-hidden": "true", "focusable": "false"}
    if css:
        attrs["class"] = css
    # The package renders its own files; the attributes are ours and never contain what people typed.
    return mark_safe(lucide_icons._render_icon(name, size, **attrs))  # noqa: S308


@register.simple_tag
def icon(name: str, size: int = 16, css: str = "") -> SafeString:
    """`{% icon "download" %}`: decoration only; the word beside it carries the meaning."""
    return draw(str(name) + "", size, css)


def known_tone(tone: str) -> str:
    return tone if tone in TONE_ICONS else "neutral"


@register.simple_tag
# A page has dozens, most of them alike; typed, so that what is HTML stays apart from what is text.
@functools.lru_cache(maxsize=1024, typed=True)
def chip(tone: str, word: object, hint: str = "", icon: str = "") -> SafeString:
    """`{% chip "ok" "Successful" hint="Checked 2 minutes ago" %}`: status as icon, word, colour and tooltip.

    `tone` is ok, warn, bad, info, busy or neutral (also the answer to an unknown one); the hint is the tooltip
    and is read out after the word.
    """
    tone = known_tone(tone)
    name = icon or TONE_ICONS[tone]
    turning = " busy" if name == "loader" else ""
    title = html(' title="{}"', hint) if hint else ""
    spoken = html('<span class="vh">: {}</span>', hint) if hint else ""
    picture = draw(name, 14)
    return html(
        '<span class="chip{}" data-tone="{}"{}>{}<span>{}</span>{}</span>',
        turning,
        tone,
        title,
        picture,
        word,
        spoken,
    )


@register.simple_tag
def tag(word: object, tone: str = "neutral") -> SafeString:
    """`{% tag "Gold" %}`: a label that is not a status (no icon)."""
    return html('<span class="chip plain" data-tone="{}">{}</span>', known_tone(tone), word)


@register.simple_tag
def yes_no(value: object, yes: str = "Yes", no: str = "No") -> SafeString:
    """`{% yes_no tenant.enabled %}`: tick or cross with its word; None is "unknown"."""
    if value is None:
        return missing("unknown")
    tone, name, word = ("ok", "check", yes) if value else ("neutral", "minus", no)
    return html('<span class="nowrap" data-tone="{}">{} {}</span>', tone, draw(name, 14), word)


@register.simple_tag
def missing(word: str = "not yet") -> SafeString:
    """`{% missing "never" %}`: a missing value is a word, never an empty cell."""
    return html('<span class="missing">{}</span>', word)


@register.simple_tag
def value(given: object, none: str = "none") -> SafeString | str:
    """`{% value user.department none="not set" %}`: the value, or the word for its absence."""
    return missing(none) if given is None or given == "" else html("{}", given)


@register.simple_tag
def count(number: int | None) -> SafeString | str:
    """`{% count site.sip_users %}`: digits in groups of three; an unknown count is -N/A- (MSG-11)."""
    return missing(UNKNOWN_COUNT) if number is None else f"{number:,}"


@register.simple_tag
def more(items: Iterable[object], limit: int = 3, none: str = "none") -> SafeString:
    """`{% more user.licences 2 %}`: the first items, then "+N" with the rest in its tooltip."""
    words = [str(item) for item in items]
    if not words:
        return missing(none)
    shown, rest = ", ".join(words[:limit]), words[limit:]
    if not rest:
        return html("{}", shown)
    return html('{} <span class="chip plain" title="{}">+{}</span>', shown, ", ".join(rest), len(rest))


# --- Time ---------------------------------------------------------------------------------------------------
def relative(moment: datetime, now: datetime) -> str:
    """How long ago (or ahead) `moment` is, in one unit: "4 min ago", "in 3 days"; a date beyond a month."""
    seconds = (now - moment).total_seconds()
    size, past = abs(seconds), seconds >= 0
    if size < 45:
        return "just now" if past else "in a moment"
    if size >= MONTH_SECONDS:
        local = timezone.localtime(moment)
        return f"{local.day} {local:%b %Y}"
    length, name = next((unit for unit in UNITS if size >= unit[0]), UNITS[-1])
    number = max(1, int(size // length))
    unit = name if name == "min" or number == 1 else f"{name}s"
    return f"{number} {unit} ago" if past else f"in {number} {unit}"


def ordinal(number: int) -> str:
    """1st, 2nd, 11th."""
    teens = 10 < number % 100 < 20
    return f"{number}{'th' if teens else ORDINALS.get(number % 10, 'th')}"


def exact(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{local.day} {local:%b %Y, %H:%M:%S} {local.tzname()}"


@register.simple_tag
def ago(moment: datetime | None, none: str = "never") -> SafeString:
    """`{% ago tenant.last_replicated_at none="not yet" %}`: relative, the exact time on hover; it keeps growing."""
    if moment is None:
        return missing(none)
    text = relative(moment, timezone.now())
    return html('<time datetime="{}" title="{}" data-ago>{}</time>', moment.isoformat(), exact(moment), text)


@register.simple_tag
def when(moment: datetime | None, style: str = "long", none: str = "never") -> SafeString:
    """`{% when check.at %}`: "March 9th 2023, 15:38" (AUT-11); style "stamp" is 2022.10.14.12:59:41 (TEN-03),
    "date" is 2022-08-29 (INV-16). The age is the tooltip.
    """
    if moment is None:
        return missing(none)
    local = timezone.localtime(moment)
    text = (
        f"{local:{STYLES[style]}}"
        if style in STYLES
        else f"{local:%B} {ordinal(local.day)} {local:%Y, %H:%M}"
    )
    return html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), relative(moment, timezone.now()), text
    )


# --- Numbers ------------------------------------------------------------------------------------------------
@register.simple_tag
def progress(done: int | None, total: int | None, label: str) -> SafeString:
    """`{% progress 1200 20000 "Users read" %}`: bar, label and figures; an unknown total is a running bar."""
    if done is None or not total:
        figures = "" if done is None else f"{done:,} so far"
        bar = html('<progress aria-label="{}"></progress>', label)
    else:
        figures = f"{done:,} of {total:,} ({done * 100 // total}%)"
        bar = html('<progress value="{}" max="{}" aria-label="{}"></progress>', done, total, label)
    return html(
        '<span class="meter"><span class="row">{} <span class="muted push">{}</span></span>{}</span>',
        label,
        figures,
        bar,
    )


@register.simple_tag
def stat(label: str, number: object, hint: str = "", url: str = "", tone: str = "") -> SafeString:
    """`{% stat "Connected" 19 hint="of 24 tenants" url="/tenants" tone="ok" %}`: one tile of a row of figures."""
    shown = f"{number:,}" if isinstance(number, int) else (UNKNOWN_COUNT if number is None else number)
    colour = html(' data-tone="{}"', known_tone(tone)) if tone else ""
    inside = html("<span>{}</span><b>{}</b><span>{}</span>", label, shown, hint)
    if url:
        return html('<a class="card stat" href="{}"{}>{}</a>', url, colour, inside)
    return html('<div class="card stat"{}>{}</div>', colour, inside)


# --- Addresses ----------------------------------------------------------------------------------------------
def params(context: RequestContext | dict[str, Any]) -> QueryDict:
    request = context.get("request")
    return request.GET if request is not None else QueryDict()


def changed(given: QueryDict, changes: dict[str, object]) -> str:
    """Each in its place, new ones at the end. Written from pairs: a page has twenty, and Django copies deeply."""
    new = {name: str(value) for name, value in changes.items() if value is not None and value != ""}
    pairs: list[tuple[str, object]] = []
    for name, values in given.lists():
        if name not in changes:
            pairs += [(name, value) for value in values]
        elif name in new:
            pairs.append((name, new.pop(name)))
    return "?" + urlencode([*pairs, *new.items()])


@register.simple_tag(takes_context=True)
def query(context: RequestContext, **changes: object) -> str:
    """`<a href="{% query page=2 %}">`: this page's query string with changes; None or "" takes one away."""
    return changed(params(context), changes)


@register.simple_tag(takes_context=True)
def asked(context: RequestContext, name: str) -> str:
    """`{% asked "q" %}`: what the address says; empty where it says nothing, which a template looks up at length."""
    return params(context).get(name, "")


@register.simple_tag(takes_context=True)
def kept_query(context: RequestContext, *without: str) -> SafeString:
    """`{% kept_query "q" "size" %}`: hidden inputs for every parameter but those (and `page`), for a GET form."""
    left = [(name, item) for name, items in params(context).lists() for item in items]
    kept = [(name, item) for name, item in left if name not in without and name != "page"]
    return html_join("", '<input type="hidden" name="{}" value="{}">', kept)


SWAP = mark_safe('hx-target="#list" hx-select="#list" hx-swap="outerHTML" hx-push-url="true"')


@register.simple_tag
def swaps_list() -> SafeString:
    """htmx attributes by which a link or form replaces only `#list`; without script it is an ordinary one."""
    return SWAP


def link(address: str, inside: object, label: str = "", current: bool = False) -> SafeString:
    """A link that replaces only `#list`."""
    extra = html(' aria-label="{}"', label) if label else SafeString("")
    if current:
        extra += SafeString(' aria-current="page"')
    return html('<a href="{}" hx-get="{}" {}{}>{}</a>', address, address, SWAP, extra, inside)


@register.simple_tag(takes_context=True)
def sort_header(context: RequestContext, label: str, field: str, css: str = "") -> SafeString:
    """`{% sort_header "Customer Name" "name" %}`: a header cell that sorts by `?sort=name` / `?sort=-name`.

    The view says in `sort` which order it used when the address names none. `css` is "num" for figures.
    """
    given = params(context)
    active = given.get("sort") or str(context.get("sort") or "")
    down, up = active == f"-{field}", active == field
    arrow = draw("arrow-down" if down else "arrow-up" if up else "chevrons-up-down", 13)
    address = changed(given, {"page": None, "sort": f"-{field}" if up else field})
    order = ' aria-sort="descending"' if down else ' aria-sort="ascending"' if up else ""
    colour = html(' class="{}"', css) if css else ""
    return html(
        '<th scope="col"{}{}>{}</th>',
        colour,
        SafeString(order),
        link(address, html("{}{}", label, arrow)),
    )


@register.inclusion_tag("partials/pager.html", takes_context=True)
def pager(context: RequestContext, page: Page[Any], noun: str = "entries") -> dict[str, object]:
    """`{% pager page %}`: "Showing 1 to 10 of 240 entries", Previous, page numbers, Next (NAV-12)."""
    given = params(context)

    def address(number: int) -> str:
        return changed(given, {"page": number})

    numbers: list[SafeString | str] = []
    for number in page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1):
        if isinstance(number, int):
            numbers.append(link(address(number), number, f"Page {number}", current=number == page.number))
        else:
            numbers.append(html('<span class="off">{}</span>', number))
    previous = link(address(page.previous_page_number()), "Previous") if page.has_previous() else ""
    following = link(address(page.next_page_number()), "Next") if page.has_next() else ""
    return {"page": page, "noun": noun, "numbers": numbers, "previous": previous, "next": following}


@register.simple_tag(takes_context=True)
def menu_entries(context: RequestContext, actions: Iterable[Mapping[str, Any]]) -> SafeString:
    """What partials/row_menu.html opens: its arguments are told there. Written here, because a page has hundreds."""
    return SafeString("".join([_menu_entry(context, action) for action in actions]))


@register.simple_tag(takes_context=True)
def row_menu(
    context: RequestContext, key: object, name: object, actions: Iterable[Mapping[str, Any]]
) -> SafeString:
    """`{% row_menu tenant.id tenant.name row.menu %}`: three dots with a row's actions.

    `key` is unique on the page, `name` what the row is about. An action is {label, url, icon?, danger?, modal?,
    post?}: modal shows that page's #dialog in place; post is a button.
    """
    return html(
        '<button type="button" class="btn quiet small icon" popovertarget="menu-{}" aria-label="Actions for {}"'
        ' title="Actions">{}</button><div class="menu" id="menu-{}" popover>{}</div>',
        key, name, draw("ellipsis", 18), key, menu_entries(context, actions),
    )  # fmt: skip


@register.simple_tag
def tick(value: object, name: object) -> SafeString:
    """`{% tick tenant.id tenant.name %}`: the check box cell of a row, for the form with id "bulk"."""
    return html(
        '<td class="tick"><label><input type="checkbox" name="id" value="{}" form="bulk">'
        '<span class="vh">Select {}</span></label></td>',
        value, name,
    )  # fmt: skip


def _menu_entry(context: RequestContext, action: Mapping[str, Any]) -> SafeString:
    attributes, inside = _looks(
        action["label"], action.get("icon", ""), bool(action.get("danger")), bool(action.get("modal"))
    )
    if action.get("post"):
        return html(
            '<form method="post" action="{}"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
            "<button{}>{}</button></form>",
            action["url"], context.get("csrf_token", ""), attributes, inside,
        )  # fmt: skip
    return html('<a href="{}"{}>{}</a>', action["url"], attributes, inside)


@functools.lru_cache(maxsize=256, typed=True)
def _looks(label: object, icon: str, danger: bool, modal: bool) -> tuple[SafeString, SafeString]:
    """Attributes of an entry, and what stands in it: the same in each row."""
    colour, opens = ' data-tone="bad"' if danger else "", " data-modal" if modal else ""
    return SafeString(colour + opens), html("{} {}", draw(icon) if icon else "", label)


@register.simple_tag
def choices(options: Iterable[Mapping[str, Any]], chosen: object) -> SafeString:
    """The options of a select in partials/table_tools.html, each {value, label}."""
    return html_join(
        "",
        '<option value="{}"{}>{}</option>',
        (
            (option["value"], SafeString(" selected") if option["value"] == chosen else "", option["label"])
            for option in options
        ),
    )


@register.simple_tag
def tree(nav: Iterable[Any]) -> SafeString:
    """What partials/tree.html shows. Written here, because every page has it."""
    return html_join("", "<li>{}</li>", ((_entry(entry),) for entry in nav))


@functools.lru_cache(maxsize=1024)
def _entry(entry: Any) -> SafeString:
    """An entry says all that is shown of it, so that equal ones are written once a process."""
    return _group(entry) if entry.children else _link(entry)


def _group(entry: Any) -> SafeString:
    return html(
        "<details{}><summary>{}<span>{}</span>{}</summary><ul>{}</ul></details>",
        SafeString(" open") if entry.open or entry.active else "",
        draw(entry.icon, 18),
        entry.label,
        draw("chevron-right", 14, "fold"),
        html_join("", "<li>{}</li>", ((_link(item),) for item in entry.children)),
    )


def _link(entry: Any) -> SafeString:
    here = SafeString(' aria-current="page"') if entry.active else ""
    picture = draw(entry.icon, 18) if entry.icon else ""
    number: SafeString | str = ""
    if entry.count:
        tone = html(' data-tone="{}"', entry.tone) if entry.tone else ""
        age = html(' title="{}"', entry.age) if entry.age else ""
        number = html('<span class="count"{}{}>{}</span>', tone, age, entry.count)
    return html('<a href="{}"{}>{}<span>{}</span>{}</a>', entry.url, here, picture, entry.label, number)


@register.simple_tag(takes_context=True)
def page_sizes(context: RequestContext, sizes: Sequence[int] = PAGE_SIZES) -> SafeString:
    """The options of "Show 10 entries" with the one of the address (`?size=`) or the view (`size`) chosen."""
    chosen = params(context).get("size") or str(context.get("size") or sizes[0])
    pairs = [(size, SafeString(" selected") if str(size) == chosen else "", size) for size in sizes]
    return html_join("", '<option value="{}"{}>{}</option>', pairs)


# --- Parts with a template of their own in templates/partials/ ------------------------------------------------
@register.inclusion_tag("partials/note.html")
def note(tone: str, text: object, title: str = "", url: str = "", label: str = "") -> dict[str, object]:
    """`{% note "warn" "Two tenants will be skipped." %}`: a box with a sentence, a title and a button if given."""
    return {"tone": known_tone(tone), "text": text, "title": title, "url": url, "label": label}


@register.inclusion_tag("partials/empty.html")
def empty(title: str, text: str, icon: str = "inbox", url: str = "", label: str = "") -> dict[str, object]:
    """`{% empty "No tenants yet" "Add your first customer." url=add label="Add" %}`: nothing, and what to do next."""
    return {"title": title, "text": text, "icon": icon, "url": url, "label": label}


@register.inclusion_tag("partials/error_box.html")
def error_box(error: object) -> dict[str, object]:
    """`{% error_box error %}`: a failure in full, from an object or dict with message, advice, who, code, detail,
    action_url, action_label and tone (all but the message may be absent).
    """
    return {"error": error}


@register.inclusion_tag("partials/kv.html")
def kv(pairs: Iterable[Sequence[object]], cols: bool = False) -> dict[str, object]:
    """`{% kv pairs %}`: a definition list of (name, value) or (name, value, hint); None is "not set"."""
    return {"pairs": pairs, "cols": cols}


@register.inclusion_tag("partials/steps.html")
def steps(items: Iterable[object]) -> dict[str, object]:
    """`{% steps command.steps %}`: the server's steps, top to bottom; each has title, state (done, running, failed,
    suspended, skipped, waiting) and may have text and at.
    """
    return {"steps": items}


@register.inclusion_tag("partials/wizard.html")
def wizard(items: Iterable[object]) -> dict[str, object]:
    """`{% wizard steps %}`: where one is; each has title and state (done, current, waiting)."""
    return {"steps": items}


@register.inclusion_tag("partials/field.html")
def field(bound: BoundField) -> dict[str, object]:
    """`{% field form.name %}`: label, control, help and error of one field."""
    return {"field": bound}


# --- Behaviour ----------------------------------------------------------------------------------------------
@register.simple_tag
def live(url: str, every: int = 2) -> SafeString:
    """`<div {% live command.live_url 2 %}>`: this element's inside is asked for every `every` seconds while the
    page is visible, at once when it becomes visible again, and never again after status 286.
    """
    return html(
        'data-live hx-get="{}" hx-trigger="every {}s, ump:wake" hx-swap="innerHTML" hx-push-url="false"',
        url,
        every,
    )


@register.simple_tag
def copy(text: str, label: str = "") -> SafeString:
    """`{% copy tenant.entra_id "tenant id" %}`: the text as code with a button that copies it."""
    title = f"Copy {label}" if label else "Copy"
    button = html(
        '<button type="button" class="btn quiet small icon js" data-copy="{}" title="{}" aria-label="{}">{}</button>',
        text,
        title,
        title,
        draw("copy", 14),
    )
    return html('<span class="copy"><code>{}</code>{}</span>', text, button)


@register.simple_tag(takes_context=True)
def theme(context: RequestContext) -> str:
    """Light, dark or auto, from the cookie; anything else is auto. Works without a request (error pages)."""
    request = context.get("request")
    chosen = request.COOKIES.get("ump_theme", "auto") if request is not None else "auto"
    return chosen if chosen in THEMES else "auto"


@register.simple_tag(takes_context=True)
def still(context: RequestContext, name: str) -> SafeString:
    """`{% still "partials/keys.html" %}`: a part that is the same for everybody, but for `chosen`, the theme."""
    return _still(name, theme(context))


@functools.cache
def _still(name: str, chosen: str) -> SafeString:
    return render_to_string(name, {"chosen": chosen})


class Inline(template.Node):
    def __init__(self, nodelist: template.NodeList, given: dict[str, FilterExpression]) -> None:
        self.nodelist, self.given = nodelist, given

    def render(self, context: Context) -> SafeString:
        if not self.given:
            return self.nodelist.render(context)
        with context.push(**{name: value.resolve(context) for name, value in self.given.items()}):
            return self.nodelist.render(context)


@register.tag
def inline(parser: Parser, token: Token) -> Inline:
    """`{% inline "pages/tenants_state.html" with row=each %}`: as include, but put there once, when the page is read.

    For parts that stand in every row or on every page: an include costs more than most parts do.
    """
    _, name, *rest = token.split_contents()
    given = token_kwargs(rest[1:], parser) if rest else {}
    return Inline(Engine.get_default().get_template(name.strip('"')).nodelist, given)


@register.filter
def tone_of(level: str) -> str:
    """Tone of a message level of django.contrib.messages."""
    return MESSAGE_TONES.get(level.rsplit(" ", maxsplit=1)[-1], "info")


@register.filter
def tone_icon(tone: str) -> str:
    return TONE_ICONS[known_tone(tone)]


@register.filter
def who_words(who: object) -> str:
    """Who can fix it, in words; words that are none of the catalogue's stay as they are."""
    return next((words for known, words in WHO_IN_WORDS.items() if known == who), str(who))


@register.filter
def step_look(state: str) -> dict[str, str]:
    """Tone, icon and word of a step's state: done, running, failed, suspended, skipped or waiting."""
    tone, name, word = STEP_ICONS.get(state, STEP_ICONS["waiting"])
    return {"tone": tone, "icon": name, "word": word, "css": "spin" if state == "running" else ""}


@register.filter
def is_check(field: BoundField) -> bool:
    """Whether the field is one check box, whose label stands after it."""
    return getattr(field.field.widget, "input_type", "") == "checkbox" and not field.use_fieldset
