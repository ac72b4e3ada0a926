"""One colour of the provider, made readable in both themes (WCAG 2.2, 1.4.3: 4.5 to 1)."""

import re
from collections.abc import Callable

from core.errors import InvalidInput

READABLE = 4.5
HEX = re.compile(r"#[0-9a-f]{6}")
WHITE, INK = "#ffffff", "#0a1a2f"
"""What stands on the accent: in the light theme, in the dark one."""
LIGHT, DARK = ("#ffffff", "#f8f9fb", "#f4f6f8"), ("#0f1318", "#161c24", "#1b232d")
"""What the accent stands on (static/ump.css: --surface, --raised, --bg)."""
_STEP = 0.02


def check(value: str) -> str:
    """The colour as #rrggbb. Raises InvalidInput (`accent`) when it cannot be read on the light theme's surfaces."""
    value = value.strip().lower()
    if not HEX.fullmatch(value):
        raise InvalidInput(field="accent", why="it must look like #0b5cad")
    if not _fits_light(value):
        worst = min(contrast(value, under) for under in (*LIGHT, soft_light(value)))
        better = _moved(value, "#000000", _fits_light)
        raise InvalidInput(
            field="accent",
            why=f"text in it cannot be read on white ({worst:.1f} to 1, and {READABLE} is needed); {better} can",
        )
    return value


def stylesheet(accent: str) -> str:
    """The rules that put this accent into force; the dark theme gets a lighter one of the same hue."""
    dark = _moved(accent, "#ffffff", _fits_dark)
    return (
        f"@layer base{{:root{{--accent:light-dark({accent},{dark});--on-accent:light-dark({WHITE},{INK});"
        f"--accent-soft:light-dark({soft_light(accent)},{soft_dark(dark)})}}}}\n"
    )


def soft_light(accent: str) -> str:
    return mix(accent, WHITE, 0.9)


def soft_dark(accent: str) -> str:
    return mix(accent, DARK[0], 0.82)


def _fits_light(colour: str) -> bool:
    return all(contrast(colour, under) >= READABLE for under in (*LIGHT, soft_light(colour)))


def _fits_dark(colour: str) -> bool:
    return all(contrast(colour, under) >= READABLE for under in (*DARK, soft_dark(colour), INK))


def _moved(colour: str, towards: str, fits: Callable[[str], bool]) -> str:
    """The nearest colour on the way `towards` that fits."""
    for step in range(int(1 / _STEP) + 1):
        found = mix(colour, towards, step * _STEP)
        if fits(found):
            return found
    return towards


def mix(colour: str, other: str, share: float) -> str:
    """So large a share of the other colour."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def contrast(one: str, other: str) -> float:
    """WCAG's ratio, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
