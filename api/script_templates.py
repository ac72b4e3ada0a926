"""/script-templates: the scenario scripts by which sites are deployed and removed, and all their versions."""

import uuid
from collections.abc import Mapping
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import etags, examples
from api.idempotency import idempotent
from api.permissions import provider
from api.serializers import In, Out
from api.views import ApiView, ListView
from audiocodes.script import Finding, Kind, Variable
from sites import template_selectors, templates
from sites.models import Purpose, ScriptTemplate, ScriptVersion
from tenants.abilities import Ability

NUMBERS = {Purpose.ONBOARDING: 1, Purpose.CLEANUP: 2}
"""Script types as other systems count them (facts/audiocodes.md 5.4)."""
SEVERITIES = [("error", "It is not executed"), ("warning", "The portal does not know whether it is right")]
_SCRIPT = "Lines as at the SBC's command line, with placeholders such as {{SiteKey}} and {{new:ip-group}}."


class VariableFields(serializers.Serializer[Any]):
    name = serializers.CharField(
        max_length=40, help_text="One of the known names, or CustomVar.Variable1 to 99."
    )
    type = serializers.ChoiceField(
        choices=[(kind.value, kind.label) for kind in Kind], help_text="What it takes."
    )
    label = serializers.CharField(  # type: ignore[assignment]  # DRF takes it out
        max_length=60, default="", allow_blank=True, help_text="How it is called where people enter it."
    )
    needed = serializers.BooleanField(default=True, help_text="Whether it must have a value.")
    default = serializers.CharField(
        max_length=200, default="", allow_blank=True, help_text="The value where none is given."
    )
    help = serializers.CharField(max_length=200, default="", allow_blank=True, help_text="For people.")
    min = serializers.IntegerField(
        default=None, allow_null=True, min_value=-(10**9), max_value=10**9, help_text="Of the type number."
    )
    max = serializers.IntegerField(
        default=None, allow_null=True, min_value=-(10**9), max_value=10**9, help_text="Of the type number."
    )
    options = serializers.ListField(
        child=serializers.CharField(max_length=200),
        default=list,
        max_length=100,
        help_text="Of the type choice.",
    )


class VariableIn(VariableFields, In):
    """A variable of a script."""


class VariableOut(VariableFields, Out):
    """A variable of a script."""


class FindingOut(Out):
    line = serializers.IntegerField(help_text="From 1; 0 for something about the whole.")
    column = serializers.IntegerField(help_text="The character in the line, from 1; 0 for the whole.")
    severity = serializers.ChoiceField(choices=SEVERITIES, help_text="Errors keep it from being executed.")
    what = serializers.CharField(help_text="What is wrong.")
    remedy = serializers.CharField(help_text="What to do.")


class ScriptChange(In):
    """What is left out keeps its value. Another script or other variables make a new version."""

    name = serializers.CharField(max_length=80, required=False, help_text="No other template has it.")
    description = serializers.CharField(
        max_length=500, required=False, allow_blank=True, help_text="For people."
    )
    cleanup = serializers.UUIDField(
        required=False, allow_null=True, help_text="Id of the clean-up script of an onboarding script."
    )
    script = serializers.CharField(
        max_length=100_000, required=False, trim_whitespace=False, help_text=_SCRIPT
    )
    variables = serializers.ListField(
        child=VariableIn(), required=False, max_length=templates.MOST_VARIABLES, help_text="All of them."
    )
    draft = serializers.BooleanField(
        required=False, help_text="Keep it although it has errors; it is not executed."
    )


@extend_schema_serializer(examples=[examples.SCRIPT_ADD])
class ScriptIn(ScriptChange):
    """A new template."""

    name = serializers.CharField(max_length=80, help_text="No other template has it.")
    purpose = serializers.ChoiceField(choices=Purpose.choices, help_text="Script type; it stays.")
    script = serializers.CharField(max_length=100_000, trim_whitespace=False, help_text=_SCRIPT)


class LintIn(In):
    script = serializers.CharField(max_length=100_000, trim_whitespace=False, help_text=_SCRIPT)
    purpose = serializers.ChoiceField(choices=Purpose.choices, help_text="Script type.")
    variables = serializers.ListField(
        child=VariableIn(), default=list, max_length=templates.MOST_VARIABLES, help_text="Of this script."
    )


class LintOut(Out):
    executable = serializers.BooleanField(help_text="Nothing that was found is an error.")
    findings = FindingOut(many=True, help_text="In the order of the lines.")


class ScriptOut(Out):
    """A template and its current version, without the script itself."""

    id = serializers.UUIDField(source="template.uid")
    number = serializers.IntegerField(source="template.id", help_text="As other systems name it.")
    name = serializers.CharField(source="template.name")
    purpose = serializers.ChoiceField(source="template.purpose", choices=Purpose.choices)
    script_type = serializers.SerializerMethodField(help_text="1: SBC onboarding; 2: SBC clean-up.")
    description = serializers.CharField(source="template.description", allow_blank=True)
    pair = serializers.SerializerMethodField(help_text="Id of the other script of its pair.")
    version = serializers.IntegerField(source="version.number", help_text="The current one.")
    changed_at = serializers.DateTimeField(source="version.made_at", help_text="When this version was saved.")
    changed_by = serializers.CharField(source="version.made_by", help_text="Who saved it.")
    sites = serializers.IntegerField(source="used", help_text="How many sites use it.")
    executable = serializers.SerializerMethodField(help_text="False: a draft with errors.")
    row_version = serializers.IntegerField(source="template.row_version", help_text="The number in the ETag.")
    url = serializers.SerializerMethodField()

    def get_script_type(self, row: templates.Standing) -> int:
        return NUMBERS[Purpose(row.template.purpose)]

    def get_pair(self, row: templates.Standing) -> uuid.UUID | None:
        partner = template_selectors.partner(row.template)
        return partner.uid if partner else None

    def get_executable(self, row: templates.Standing) -> bool:
        return not any(each.is_error for each in row.findings)

    def get_url(self, row: templates.Standing) -> str:
        request = self.context.get("request")
        return reverse("api:script-template", kwargs={"script_id": row.template.uid}, request=request)


class ScriptWhole(ScriptOut):
    """A template with its script."""

    script = serializers.CharField(source="version.script", help_text=_SCRIPT)
    variables = serializers.SerializerMethodField(help_text="What a site says for it.")
    findings = FindingOut(many=True, help_text="What is wrong with it, in the order of the lines.")

    @extend_schema_field(VariableOut(many=True))
    def get_variables(self, row: templates.Standing) -> list[dict[str, Any]]:
        return [_told(each) for each in template_selectors.variables_of(row.version)]


class VersionOut(Out):
    """A version as it was saved."""

    version = serializers.IntegerField(source="number", help_text="The highest is in force.")
    changed_at = serializers.DateTimeField(source="made_at", help_text="When it was saved.")
    changed_by = serializers.CharField(source="made_by", help_text="Who saved it.")
    script = serializers.CharField(help_text=_SCRIPT)


class ScriptFilters(django_filters.FilterSet):
    purpose = django_filters.ChoiceFilter(choices=Purpose.choices, help_text="Script type.")
    name = django_filters.CharFilter(lookup_expr="iexact", help_text="Exactly this name, in any letter case.")


class ScriptTemplates(ListView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER), "POST": provider(Ability.MANAGE_SBC)}
    filters = ScriptFilters
    orders = {"name": "name"}
    out = ScriptOut

    def rows(self) -> QuerySet[ScriptTemplate]:
        return template_selectors.templates()

    @extend_schema(operation_id="script_templates_list", responses=ScriptOut(many=True))
    def get(self, request: Request) -> Response:
        """Scenario scripts, without their text."""
        found = self.paginate_queryset(self.filter_queryset(self.rows())) or []
        shown = ScriptOut(templates.standings(found), many=True, context={"request": request})
        return self.get_paginated_response(shown.data)

    @extend_schema(operation_id="script_templates_add", request=ScriptIn, responses={201: ScriptWhole})
    @idempotent
    def post(self, request: Request) -> Response:
        """A new template and its first version. One with errors is refused, unless it is a draft."""
        made = templates.add(self.actor, **_wish(self.body(ScriptIn)))
        body = _whole(request, made)
        return Response(body, status=201, headers={"Location": body["url"], "ETag": _tag(made)})


class OneScriptTemplate(ApiView):
    doors = {
        "GET": provider(Ability.VIEW_PROVIDER),
        "PATCH": provider(Ability.MANAGE_SBC),
        "DELETE": provider(Ability.MANAGE_SBC),
    }
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="script_templates_get", responses=ScriptWhole)
    def get(self, request: Request, script_id: uuid.UUID) -> Response:
        """One template with its current version, and what is wrong with that."""
        found = template_selectors.template(script_id)
        return Response(_whole(request, found), headers={"ETag": _tag(found)})

    @extend_schema(operation_id="script_templates_change", request=ScriptChange, responses=ScriptWhole)
    def patch(self, request: Request, script_id: uuid.UUID) -> Response:
        """Change it, or add a version."""
        found = template_selectors.template(script_id)
        etags.check(request, found.row_version, thing="the script template")
        wish = _wish(self.body(ScriptChange))
        changed = templates.change(self.actor, found, version=found.row_version, **wish)
        return Response(_whole(request, changed), headers={"ETag": _tag(changed)})

    @extend_schema(operation_id="script_templates_remove", responses={204: None})
    def delete(self, request: Request, script_id: uuid.UUID) -> Response:
        """With all its versions. Refused while sites use it."""
        templates.remove(self.actor, template_selectors.template(script_id))
        return Response(status=204)


class Versions(ListView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER)}
    out = VersionOut
    orders = {"version": "number"}

    def rows(self) -> QuerySet[ScriptVersion]:
        return template_selectors.versions(template_selectors.template(self.kwargs["script_id"]))

    @extend_schema(operation_id="script_templates_versions", responses=VersionOut(many=True))
    def get(self, request: Request, script_id: uuid.UUID) -> Response:
        """Every version as it was saved."""
        return self.page()


class Lint(ApiView):
    doors = {"POST": provider(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="script_templates_lint", request=LintIn, responses=LintOut)
    @idempotent
    def post(self, request: Request) -> Response:
        """What is wrong with a script. Nothing is saved."""
        given = _wish(self.body(LintIn))
        text = templates.plain(given["script"])
        found = templates.findings(text, given["variables"], given["purpose"], paired=True)
        return Response(LintOut({"executable": not _errors(found), "findings": found}).data)


def _errors(found: list[Finding]) -> bool:
    return any(each.is_error for each in found)


def _wish(given: dict[str, Any]) -> dict[str, Any]:
    """What sites.templates takes. Raises NotFound for a clean-up script that is not there."""
    wish = dict(given)
    if "variables" in wish:
        wish["variables"] = [_variable(each) for each in wish["variables"]]
    if wish.get("cleanup"):
        wish["cleanup"] = template_selectors.template(wish["cleanup"])
    return wish


def _variable(given: Mapping[str, Any]) -> Variable:
    return Variable(
        name=given["name"],
        kind=Kind(given["type"]),
        label=given["label"],
        required=given["needed"],
        default=given["default"],
        help=given["help"],
        low=given["min"],
        high=given["max"],
        options=tuple(given["options"]),
    )


def _told(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "type": variable.kind.value,
        "label": variable.title,
        "needed": variable.required,
        "default": variable.default,
        "help": variable.help,
        "min": variable.low,
        "max": variable.high,
        "options": list(variable.options),
    }


def _whole(request: Request, template: ScriptTemplate) -> dict[str, Any]:
    fresh = template_selectors.template(template.uid)
    return dict(ScriptWhole(templates.standings([fresh])[0], context={"request": request}).data)


def _tag(template: ScriptTemplate) -> str:
    return etags.etag(template.row_version)
