"""The topology as inline SVG, `{% load topology %}`: columns of linked boxes with lines between them.

Boxes are links in reading order, so the keyboard walks along the lines; a wide picture scrolls on
a phone. Colours are the stylesheet's own, by presentation attributes, because style attributes are forbidden.
"""

import dataclasses
from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ump_portal.templatetags.ui import TONE_ICONS, draw, known_tone

register = template.Library()

WIDE, HIGH, GAP, ROW = 236, 42, 40, 54
"""Of a box, between columns, and from one row to the next, in pixels."""
NAME, WORDS = 23, 28
"""Characters that fit into a box; the whole of them is in the tooltip and read out."""


@dataclasses.dataclass(frozen=True)
class Box:
    """One thing of the picture: what it is, its name, its state in words, and its page."""

    kind: str
    name: str
    words: str
    tone: str
    url: str
    locked: bool = False


@dataclasses.dataclass(frozen=True)
class Picture:
    """Columns of boxes, and of each column but the last which boxes of the next one belong to which."""

    label: str
    columns: Sequence[Sequence[Box]]
    lines: Sequence[Sequence[Sequence[int]]]


@register.simple_tag(name="topology")
def draw_topology(picture: Picture) -> SafeString:
    """`{% topology picture %}`."""
    tops = places(picture)
    width = len(picture.columns) * (WIDE + GAP) - GAP
    height = max((top for column in tops for top in column), default=0) + HIGH
    lines = format_html_join("", '<path d="{}"/>', ((curve,) for curve in curves(picture, tops)))
    boxes = format_html_join(
        "",
        "{}",
        (
            (box(picture.columns[column][at], column, tops[column][at]),)
            for column, at in reading_order(picture)
        ),
    )
    return format_html(
        '<div class="scroll" tabindex="0" role="region" aria-label="{0}"><svg role="group" aria-label="{0}" '
        'width="{1}" height="{2}" viewBox="-2 -2 {1} {2}" font-size="13">'
        '<g aria-hidden="true" fill="none" stroke="var(--edge)">{3}</g>{4}</svg></div>',
        picture.label,
        width + 4,
        round(height) + 4,
        lines,
        boxes,
    )


def places(picture: Picture) -> list[list[float]]:
    """The top of each box: those of the fullest column one below the other, the others beside what they belong to."""
    counts = [len(column) for column in picture.columns]
    full = counts.index(max(counts))
    tops: list[list[float]] = [[] for _ in counts]
    tops[full] = [at * float(ROW) for at in range(counts[full])]
    for column in range(full - 1, -1, -1):
        tops[column] = [middle([tops[column + 1][to] for to in ends]) for ends in picture.lines[column]]
    for column in range(full + 1, len(counts)):
        ends_of = picture.lines[column - 1]
        tops[column] = [
            middle([top for top, ends in zip(tops[column - 1], ends_of, strict=True) if at in ends])
            for at in range(counts[column])
        ]
    return tops


def middle(tops: Sequence[float]) -> float:
    return sum(tops) / len(tops) if tops else 0.0


def reading_order(picture: Picture) -> list[tuple[int, int]]:
    """Each box before those that belong to it, and each once."""
    found: dict[tuple[int, int], None] = {}

    def walk(column: int, at: int) -> None:
        found[column, at] = None
        for to in picture.lines[column][at] if column < len(picture.lines) else ():
            walk(column + 1, to)

    for at in range(len(picture.columns[0])):
        walk(0, at)
    return list(found)


def curves(picture: Picture, tops: Sequence[Sequence[float]]) -> list[str]:
    found = []
    for column, boxes in enumerate(picture.lines):
        left = column * (WIDE + GAP) + WIDE
        for at, ends in enumerate(boxes):
            begin = tops[column][at] + HIGH / 2
            for to in ends:
                end = tops[column + 1][to] + HIGH / 2
                bend = left + GAP / 2
                found.append(f"M{left} {begin:g}C{bend:g} {begin:g} {bend:g} {end:g} {left + GAP} {end:g}")
    return found


def box(one: Box, column: int, top: float) -> SafeString:
    """A link with a frame, an icon for the state, the name and the state's words."""
    tone = known_tone(one.tone)
    struck = SafeString(' text-decoration="line-through"') if one.locked else SafeString("")
    locked = ", locked" if one.locked else ""
    return format_html(
        '<a href="{}" aria-label="{} {}: {}{}"><g transform="translate({} {})"><title>{}: {}</title>'
        '<rect width="{}" height="{}" rx="6" fill="var(--surface)" stroke="var(--edge)"/>'
        '<g transform="translate(10 13)" data-tone="{}" color="var(--tone)">{}</g>'
        '<text x="34" y="18" fill="var(--text)" font-weight="600"{}>{}</text>'
        '<text x="34" y="34" fill="var(--muted)" font-size="12">{}</text></g></a>',
        one.url,
        one.kind,
        one.name,
        one.words,
        locked,
        column * (WIDE + GAP),
        f"{top:g}",
        one.name,
        one.words,
        WIDE,
        HIGH,
        tone,
        draw(TONE_ICONS[tone], 16),
        struck,
        short(one.name, NAME),
        short(one.words, WORDS),
    )


def short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
