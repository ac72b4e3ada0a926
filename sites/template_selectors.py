"""Reads about scenario script templates. They are the provider's own; their sites are customers'."""

import uuid
from collections.abc import Collection, Mapping, Sequence

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from audiocodes.script import Variable
from core.errors import NotFound
from sites.models import Purpose, ScriptTemplate, ScriptVersion, Site
from tenants import scope

_WHY = "sites of all customers use the provider's scripts"


def templates(search: str = "", purpose: str = "") -> QuerySet[ScriptTemplate]:
    """By words in name or description, and by script type; each with the other one of its pair."""
    found = ScriptTemplate.objects.select_related("cleanup", "onboarding")
    if purpose:
        found = found.filter(purpose=purpose)
    if search:
        found = found.filter(Q(name__icontains=search) | Q(description__icontains=search))
    return found.order_by("name", "id")


def template(uid: uuid.UUID) -> ScriptTemplate:
    """Raises NotFound."""
    found = templates().filter(uid=uid).first()
    if found is None:
        raise NotFound(thing="script template")
    return found


def versions(template: ScriptTemplate) -> QuerySet[ScriptVersion]:
    """The newest first."""
    return ScriptVersion.objects.filter(template=template).order_by("-number")


def version(template: ScriptTemplate, number: int | None = None) -> ScriptVersion:
    """This version, or the current one. Raises NotFound."""
    found = versions(template)
    one = (found if number is None else found.filter(number=number)).first()
    if one is None:
        raise NotFound(thing="version of the script")
    one.template = template
    return one


def current(found: Collection[ScriptTemplate]) -> Mapping[int, ScriptVersion]:
    """The current version of each, by the template's id."""
    newest = ScriptVersion.objects.filter(template__in=found).order_by("template_id", "-number")
    return {each.template_id: each for each in newest.distinct("template_id")}


def variables_of(version: ScriptVersion) -> list[Variable]:
    return [Variable.from_json(each) for each in version.variables]


def partner(template: ScriptTemplate) -> ScriptTemplate | None:
    """The other one of the pair."""
    if template.purpose == Purpose.ONBOARDING:
        return template.cleanup
    return getattr(template, "onboarding", None)


def partners_variables(found: Collection[ScriptTemplate]) -> Mapping[int, Sequence[Variable]]:
    """Of each clean-up script that belongs to an onboarding script: that one's variables, by the clean-up's id."""
    pairs = {each.id: partner(each) for each in found if each.purpose == Purpose.CLEANUP}
    newest = current([one for one in pairs.values() if one is not None])
    return {each: variables_of(newest[one.id]) for each, one in pairs.items() if one is not None}


def used_by(found: Collection[ScriptTemplate]) -> Mapping[int, int]:
    """How many sites each is for, by its id; a clean-up script is for those of its onboarding script."""
    onboarding = {
        each.id: each.id if each.purpose == Purpose.ONBOARDING else getattr(partner(each), "id", None)
        for each in found
    }
    with scope.every(_WHY):
        counted = dict(
            Site.objects.filter(template__in=[one for one in onboarding.values() if one])
            .order_by()
            .values_list("template")
            .annotate(number=Count("id"))
        )
    return {each: counted.get(one, 0) for each, one in onboarding.items()}


def sites_of(template: ScriptTemplate, most: int) -> list[str]:
    """Customers and sites that use it, or were made by one of its versions, in words; at most so many."""
    one = template if template.purpose == Purpose.ONBOARDING else partner(template)
    with scope.every(_WHY):
        found = Site.objects.filter(Q(template=one) if one else Q(pk=None))
        found = found | Site.objects.filter(applied__template=template)
        return [
            f"{site.tenant.name}: {site.name}"
            for site in found.select_related("tenant").order_by("tenant__name", "name")[:most]
        ]


def free_cleanups(template: ScriptTemplate | None) -> QuerySet[ScriptTemplate]:
    """Clean-up scripts that belong to no other onboarding script."""
    mine = Q(onboarding=None) if template is None else Q(onboarding=None) | Q(onboarding=template)
    return ScriptTemplate.objects.filter(mine, purpose=Purpose.CLEANUP).order_by("name")


def same(template: ScriptTemplate, script: str, variables: Sequence[Variable]) -> ScriptTemplate | None:
    """Another template of this script type whose current version says just this."""
    found = ScriptVersion.objects.filter(
        template__purpose=template.purpose, script=script, variables=[each.to_json() for each in variables]
    ).exclude(template=template.pk)
    newer = ScriptVersion.objects.filter(template=OuterRef("template"), number__gt=OuterRef("number"))
    one = found.filter(~Exists(newer)).select_related("template").first()
    return one.template if one else None
