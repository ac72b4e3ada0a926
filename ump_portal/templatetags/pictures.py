"""Pictures as inline SVG, `{% load pictures %}`: each says in words what it shows and has a table for those who read.

No style attributes anywhere (the content security policy forbids them): sizes are SVG attributes, colours come
from `data-tone` in the stylesheet. All shapes are scaled, all text is HTML beside them, so that it stays crisp.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ump_portal.templatetags.ui import html, html_join, known_tone

register = template.Library()

PLOT_HEIGHT = 100
SERIES = (
    ("succeeded", "ok", "Succeeded"),
    ("suspended", "warn", "Waiting for you"),
    ("failed", "bad", "Failed"),
)
CHECKS = (
    ("succeeded", "ok", "Successful"),
    ("unsure", "warn", "Check failed"),
    ("failed", "bad", "Access failed"),
)
Series = tuple[tuple[str, str, str], ...]
"""Of each part of a bar: its key in the bucket, tone and word."""


# One bar of a plot: its time as people read it (label), and how many of each part of the series.
Bucket = Mapping[str, Any]


class Share(TypedDict, total=False):
    """One part of a whole: its tone and word, how many, and where to see them."""

    label: str
    tone: str
    count: int
    url: str


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> SafeString:
    """The picture's content as a table behind "Show as table"."""
    head = format_html_join(
        "", '<th scope="col"{}>{}</th>', ((css(at), word) for at, word in enumerate(heads))
    )
    body = format_html_join(
        "", "<tr>{}</tr>", ((format_html_join("", "<td{}>{}</td>", cells(row)),) for row in rows)
    )
    return format_html(
        '<details><summary>Show as table</summary><div class="scroll"><table><caption class="vh">{}</caption>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></details>",
        caption,
        head,
        body,
    )


def css(at: int) -> SafeString:
    return SafeString(' class="num"') if at else SafeString("")


def cells(row: Sequence[object]) -> list[tuple[SafeString, object]]:
    return [(css(at), cell) for at, cell in enumerate(row)]


def legend(shares: Sequence[Mapping[str, Any]]) -> SafeString:
    """Swatch, word and figure per part; a link where the part has an address."""
    return html('<ul class="legend">{}</ul>', html_join("", "<li>{}</li>", ((key(s),) for s in shares)))


def key(share: Mapping[str, Any]) -> SafeString:
    swatch = html('<span class="swatch" data-tone="{}"></span>', known_tone(share["tone"]))
    words = html("{}{} <b>{}</b>", swatch, share["label"], f"{share['count']:,}")
    return html('<a href="{}">{}</a>', share["url"], words) if share.get("url") else words


def bar(at: int, bucket: Bucket, scale: float, series: Series) -> SafeString:
    """The stacked bar of one bucket; its title is what the pointer sees."""
    parts: list[tuple[object, ...]] = []
    top = float(PLOT_HEIGHT)
    for name, tone, _word in series:
        height = bucket[name] * scale
        if height:
            top -= height
            parts.append((tone, at * 10 + 1, f"{top:.2f}", f"{height:.2f}"))
    told = ", ".join(f"{word} {bucket[name]}" for name, _tone, word in series)
    rects = format_html_join("", '<rect data-tone="{}" x="{}" y="{}" width="8" height="{}"/>', parts)
    return format_html("<g><title>{}: {}</title>{}</g>", bucket["label"], told, rects)


@register.simple_tag
def activity_plot(buckets: Sequence[Bucket], caption: str = "Queue activity") -> SafeString:
    """`{% activity_plot buckets %}`: stacked bars of what the queue did over time, oldest first.

    Each bucket is a dict of label ("14:00"), succeeded, suspended and failed.
    """
    return stacked(buckets, SERIES, caption, "nothing ended in this time")


@register.simple_tag
def checks_plot(buckets: Sequence[Bucket], caption: str = "Checks a day") -> SafeString:
    """`{% checks_plot buckets %}`: what checks said over time, oldest first.

    Each bucket is a dict of label ("21 Nov"), succeeded, unsure (the check itself failed) and failed.
    """
    return stacked(buckets, CHECKS, caption, "none was made in this time")


def stacked(buckets: Sequence[Bucket], series: Series, caption: str, none: str) -> SafeString:
    """Stacked bars over time with their legend, and a table for those who read."""
    totals = {name: sum(int(b[name]) for b in buckets) for name, _tone, _word in series}
    if not sum(totals.values()):
        return format_html('<p class="muted">{}: {}.</p>', caption, none)
    peak = max(sum(b[name] for name, *_ in series) for b in buckets)
    bars = format_html_join(
        "", "{}", ((bar(at, b, PLOT_HEIGHT / peak, series),) for at, b in enumerate(buckets))
    )
    said = ", ".join(f"{totals[name]:,} {word.lower()}" for name, _tone, word in series)
    summary = (
        f"{caption} from {buckets[0]['label']} to {buckets[-1]['label']}: {said}; at most {peak:,} at a time"
    )
    rows = [[b["label"], *(b[name] for name, *_ in series)] for b in buckets]
    shares = [{"label": word, "tone": tone, "count": totals[name]} for name, tone, word in series]
    middle = buckets[len(buckets) // 2]["label"]
    return format_html(
        '<figure class="plot"><svg role="img" aria-label="{}" viewBox="0 0 {} {}" height="110" '
        'preserveAspectRatio="none">'
        '<path class="rule" d="M0 0H{w}M0 50H{w}M0 100H{w}"/>{}</svg>'
        '<div class="axis" aria-hidden="true"><span>{}</span><span>{}</span><span>{}</span></div>{}{}</figure>',
        summary,
        len(buckets) * 10,
        PLOT_HEIGHT,
        bars,
        buckets[0]["label"],
        middle,
        buckets[-1]["label"],
        legend(shares),
        table(caption, ["Time", *(word for *_, word in series)], rows),
        w=len(buckets) * 10,
    )


@register.simple_tag
def health_bar(items: Sequence[Share], caption: str = "Tenants by health") -> SafeString:
    """`{% health_bar items %}`: one bar cut by share, with a legend of links.

    Each item is a dict of label, tone, count and, if there is a list to see, url.
    """
    total = sum(item["count"] for item in items)
    if not total:
        return html('<p class="muted">{}: there is nothing to show yet.</p>', caption)
    parts: list[tuple[object, ...]] = []
    left = 0.0
    for item in items:
        width = item["count"] * 1000 / total
        if width:
            parts.append(
                (
                    known_tone(item["tone"]),
                    f"{left:.2f}",
                    f"{max(width - 3, 1):.2f}",
                    item["label"],
                    item["count"],
                )
            )
        left += width
    rects = html_join(
        "", '<rect data-tone="{}" x="{}" width="{}" height="12"><title>{}: {}</title></rect>', parts
    )
    said = ", ".join(f"{item['label']} {item['count']:,}" for item in items)
    return html(
        '<figure class="plot"><svg role="img" aria-label="{}: {}" viewBox="0 0 1000 12" height="12" '
        'preserveAspectRatio="none">{}</svg>{}</figure>',
        caption,
        said,
        rects,
        legend(items),
    )


@register.simple_tag
def horizon(buckets: Sequence[Share], caption: str = "Expiry horizon") -> SafeString:
    """`{% horizon buckets %}`: how many secrets or consents end when (Expired, 0-7 days, 8-30, 31-90, over 90).

    The same dicts as `health_bar`, in order of time. Figures stand above the columns: nothing is colour alone.
    """
    peak = max((b["count"] for b in buckets), default=0) or 1
    columns = format_html_join("", "<li>{}</li>", ((column(b, peak),) for b in buckets))
    return format_html('<ul class="buckets" aria-label="{}">{}</ul>', caption, columns)


def column(bucket: Share, peak: int) -> SafeString:
    tone = known_tone(bucket["tone"]) if bucket["count"] else "neutral"
    height = max(bucket["count"] * 56 / peak, 2 if bucket["count"] else 1)
    inside = format_html(
        '<b data-tone="{t}">{}</b><span class="plot"><svg aria-hidden="true" viewBox="0 0 10 56" height="56" '
        'preserveAspectRatio="none"><rect data-tone="{t}" y="{}" width="10" height="{}"/></svg></span>'
        "<span>{}</span>",
        f"{bucket['count']:,}",
        f"{56 - height:.2f}",
        f"{height:.2f}",
        bucket["label"],
        t=tone,
    )
    return format_html('<a href="{}">{}</a>', bucket["url"], inside) if bucket.get("url") else inside


@register.simple_tag
def sparkline(values: Sequence[float], label: str) -> SafeString:
    """`{% sparkline rates "Requests per minute" %}`: a small line; its first, last and highest value are said."""
    if len(values) < 2:
        return format_html('<span class="muted">{}: too little to draw</span>', label)
    low, high = min(values), max(values)
    span = (high - low) or 1
    step = 96 / (len(values) - 1)
    points = " ".join(
        f"{at * step:.1f} {22 - (given - low) * 20 / span:.1f}" for at, given in enumerate(values)
    )
    said = f"{label}: from {values[0]:g} to {values[-1]:g}, highest {high:g}"
    return format_html(
        '<svg class="spark" role="img" aria-label="{}" viewBox="0 0 96 24"><title>{}</title><path d="M{}"/></svg>',
        said,
        said,
        points.replace(" ", "L", 0),
    )
