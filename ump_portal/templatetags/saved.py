"""`{% load saved %}`: a person's saved views above a list."""

from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils.http import urlencode

from accounts.selectors import as_view, views_beside

register = template.Library()


@register.inclusion_tag("partials/saved_views.html", takes_context=True)
def saved_views(context: RequestContext, page: str) -> dict[str, Any]:
    """`{% saved_views "queue" %}`: a key of SavedView.LISTS; stands inside `#list`, so that it knows the address."""
    request = context["request"]
    here, now = request.path, as_view(request.GET)
    views = [
        {
            "name": name,
            "url": f"{here}?{query}",
            "delete_url": f"/views/{key}/delete/?{urlencode({'back': here})}",
            "current": query == now,
        }
        for key, name, query in views_beside(request.user, page)
    ]
    unknown = now and not any(view["current"] for view in views)
    add_url = f"/views/add/?{urlencode({'page': page, 'query': now, 'back': here})}" if unknown else ""
    return {"views": views, "add_url": add_url}
