"""Routes that begin alike, found by one look at their beginning: there are hundreds below a customer."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, include, path

Route = URLPattern | URLResolver


def gathered(beginning: str, routes: Iterable[Route]) -> list[Route]:
    """The same routes. Those that begin so come first: no other may be meant by their addresses."""
    below: list[Any] = []
    others: list[Route] = []
    for route in _flat(routes):
        text = str(route.pattern)
        if isinstance(route, URLPattern) and text.startswith(beginning):
            rest = text.removeprefix(beginning)
            below.append(path(rest, route.callback, route.default_args, route.name))
        else:
            others.append(route)
    return [path(beginning, include(below)), *others]


def _flat(routes: Iterable[Route]) -> Iterator[Route]:
    """With the routes of rooms in the place of the rooms."""
    for route in routes:
        if isinstance(route, URLResolver) and not str(route.pattern) and not route.namespace:
            yield from _flat(route.url_patterns)
        else:
            yield route
