"""SBC > Scripts: the scenario script templates, their versions side by side, and what is wrong with them."""

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.text import slugify

from accounts.again import typed
from audiocodes.script import AUTOMATIC, Finding, Variable
from core.errors import Conflict, InvalidInput, NotFound
from sites import template_compare, template_selectors, templates
from sites.models import Purpose, ScriptTemplate, ScriptVersion
from sites.template_forms import PREFIX, TemplateForm, VariableForm, VariableForms, variables_in
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.web import actor_of, provider_view

WRITES = ("GET", "HEAD", "POST")
BASE = "/scripts/"
ORDERS = {"name": ["name", "id"], "purpose": ["purpose", "name", "id"]}
SHOWN_SITES = 20
OFFERED_VERSIONS = 50


@dataclasses.dataclass(frozen=True)
class Row:
    """A version of a template with what is worked out for the screen."""

    template: ScriptTemplate
    version: ScriptVersion
    findings: Sequence[Finding]
    used: int = 0

    @property
    def url(self) -> str:
        return f"{BASE}{self.template.uid}/"

    @property
    def partner(self) -> ScriptTemplate | None:
        return template_selectors.partner(self.template)

    @property
    def key(self) -> str:
        """How compare names it."""
        return f"{self.template.uid}.{self.version.number}"

    @property
    def chip(self) -> tuple[str, str, str]:
        """Tone, words and tooltip of what was found."""
        errors = sum(each.is_error for each in self.findings)
        if errors:
            hint = "It is a draft: nothing executes it before its errors are corrected"
            return "bad", f"Draft: {errors} error{'' if errors == 1 else 's'}", hint
        if self.findings:
            number = len(self.findings)
            return "warn", f"{number} warning{'' if number == 1 else 's'}", "It is executed all the same"
        return "ok", "No syntax error", "Nothing was found that is wrong"


@dataclasses.dataclass(frozen=True)
class Numbered:
    """A line of a script as it is shown, with what was found in it."""

    number: int
    text: str
    findings: Sequence[Finding]

    @property
    def tone(self) -> str:
        return "bad" if any(each.is_error for each in self.findings) else "warn"


@provider_view(needs=Ability.VIEW_PROVIDER)
def index(request: HttpRequest) -> HttpResponse:
    """Scenario Scripts."""
    purpose = tables.choice_of(request.GET, "type", Purpose.values)
    sort, order = tables.order_of(request.GET, ORDERS, "name")
    found = template_selectors.templates(tables.search_of(request.GET), purpose).order_by(*order)
    page = tables.page_of(request.GET, found)
    filters = tables.filters(request.GET, {"type": ("Script type", Purpose.choices)})
    context = {
        "page": page,
        "rows": [Row(*each) for each in templates.standings(list(page))],
        "sort": sort,
        "filters": filters,
        "chips": tables.chips(request.GET, filters),
        "may_manage": actor_of(request).may(Ability.MANAGE_SBC),
    }
    return render(request, "sites/templates/index.html", context)


@provider_view(needs=Ability.VIEW_PROVIDER)
def one(request: HttpRequest, script_id: uuid.UUID) -> HttpResponse:
    """One template: its script line by line, what was found, its variables, who changed it when."""
    template = template_selectors.template(script_id)
    versions = list(template_selectors.versions(template)[:OFFERED_VERSIONS])
    row = _row(template, request.GET.get("version", ""))
    context = {
        "template": template,
        "row": row,
        "url": row.url,
        "newest": versions[0].number,
        "lines": _lines(row),
        "variables": template_selectors.variables_of(row.version),
        "versions": versions,
        "sites": template_selectors.sites_of(template, SHOWN_SITES),
        "partner": row.partner,
        "may_manage": actor_of(request).may(Ability.MANAGE_SBC),
    }
    return render(request, "sites/templates/one.html", context)


def _row(template: ScriptTemplate, number: str) -> Row:
    """Raises NotFound for a version that is not there."""
    asked = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else None
    version = template_selectors.version(template, asked)
    return Row(template, version, templates.findings_of(version))


def _lines(row: Row) -> list[Numbered]:
    found: dict[int, list[Finding]] = {}
    for each in row.findings:
        found.setdefault(each.line, []).append(each)
    lines = row.version.script.splitlines()
    return [Numbered(number, text, found.get(number, [])) for number, text in enumerate(lines, 1)]


@provider_view(needs=Ability.VIEW_PROVIDER)
def download(request: HttpRequest, script_id: uuid.UUID) -> HttpResponse:
    """The script as a text file; it holds no secrets, only placeholders."""
    row = _row(template_selectors.template(script_id), request.GET.get("version", ""))
    name = f"{slugify(row.template.name) or 'script'}-{row.version.number}.txt"
    answer = HttpResponse(row.version.script, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@provider_view(needs=Ability.VIEW_PROVIDER)
def compare(request: HttpRequest) -> HttpResponse:
    """Any two versions of any templates side by side."""
    left, right = (_side(request.GET.get(name, "")) for name in ("left", "right"))
    shown = [row for row in (left, right) if row is not None]
    whole = request.GET.get("all") == "1"
    found = (
        template_compare.blocks(left.version.script, right.version.script, whole=whole)
        if left and right
        else []
    )
    context = {
        "left": left,
        "right": right,
        "sides": [("left", "Left", left), ("right", "Right", right)],
        "choices": _choices(shown),
        "blocks": found,
        "differences": sum(block.differs for block in found),
        "skipped": any(block.kind == "skip" for block in found),
    }
    return render(request, "sites/templates/compare.html", context)


def _side(key: str) -> Row | None:
    """Of `template.version`, or nothing for anything else. Raises NotFound for one that is not there."""
    if not key:
        return None
    name, _, number = key.partition(".")
    try:
        template = template_selectors.template(uuid.UUID(name))
    except ValueError:
        raise NotFound(thing="script template") from None
    return _row(template, number)


def _choices(shown: Sequence[Row]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each template with its current version; of those that are shown, the others too."""
    found = list(template_selectors.templates())
    newest = template_selectors.current(found)
    open_ = {row.template.id: row for row in shown}
    choices = []
    for each in found:
        numbers = [newest[each.id].number]
        if each.id in open_:
            versions = template_selectors.versions(each).values_list("number", flat=True)
            numbers = sorted({*versions[:OFFERED_VERSIONS], open_[each.id].version.number}, reverse=True)
        choices.append(
            (each.name, [(f"{each.uid}.{number}", f"{each.name}, version {number}") for number in numbers])
        )
    return choices


# --- Changing ---------------------------------------------------------------------------------------------------
@provider_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def defaults(request: HttpRequest) -> HttpResponse:
    """Add the templates to begin with."""
    made = templates.add_defaults(actor_of(request))
    messages.success(request, f"{len(made)} templates were added." if made else "They are all there already.")
    return SeeOther(BASE)


@provider_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def add(request: HttpRequest) -> HttpResponse:
    return _edit(request, None, {}, [])


@provider_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def edit(request: HttpRequest, script_id: uuid.UUID) -> HttpResponse:
    """Each save of another script is a new version."""
    template = template_selectors.template(script_id)
    version = template_selectors.version(template)
    values = TemplateForm.values_of(template, version.script)
    return _edit(request, template, values, template_selectors.variables_of(version))


def _edit(
    request: HttpRequest,
    template: ScriptTemplate | None,
    values: dict[str, Any],
    variables: Sequence[Variable],
) -> HttpResponse:
    given: Mapping[str, Any] | None = request.POST if request.method == "POST" else typed(request) or None
    rows_given = given if given and f"{PREFIX}-TOTAL_FORMS" in given else None
    if isinstance(rows_given, QueryDict) and "more" in rows_given:
        rows_given = _with_one_more(rows_given)
    form = TemplateForm(given, initial=values, template=template)
    stored = None if rows_given else [VariableForm.values_of(each) for each in variables]
    rows = VariableForms(rows_given, initial=stored, prefix=PREFIX)
    findings: list[Finding] = []
    status = 200
    if request.method == "POST" and "more" not in request.POST:
        status = 422
        if form.is_valid() and rows.is_valid():
            findings = _findings(form, rows, template)
            wrong = any(each.is_error for each in findings)
            if "check" in request.POST:
                status = 200
            elif not wrong or "draft" in request.POST:
                saved = _save(request, form, rows, template)
                if saved is not None:
                    return SeeOther(f"{BASE}{saved.uid}/")
    context = {
        "form": form,
        "rows": rows,
        "template": template,
        "title": f"Edit {template.name}" if template else "Add a script",
        "findings": findings,
        "errors": any(each.is_error for each in findings),
        "checked": "check" in request.POST and status == 200,
        "automatic": AUTOMATIC.items(),
        "cancel_url": f"{BASE}{template.uid}/" if template else BASE,
    }
    return render(request, "sites/templates/edit.html", context, status=status)


def _with_one_more(given: QueryDict) -> QueryDict:
    """The same, with one more empty variable."""
    more = given.copy()
    total = given.get(f"{PREFIX}-TOTAL_FORMS", "")
    more[f"{PREFIX}-TOTAL_FORMS"] = str(min(int(total) if total.isdecimal() else 0, 1_000) + 1)
    return more


def _findings(form: TemplateForm, rows: Any, template: ScriptTemplate | None) -> list[Finding]:
    wish = form.wish()
    purpose = template.purpose if template else wish["purpose"]
    draft = ScriptTemplate(purpose=purpose, cleanup=wish.get("cleanup"))
    if template is not None and purpose == Purpose.CLEANUP:
        draft = template
    return templates.findings_for(draft, templates.plain(wish["script"]), variables_in(rows))


def _save(
    request: HttpRequest, form: TemplateForm, rows: Any, template: ScriptTemplate | None
) -> ScriptTemplate | None:
    """The saved template; nothing where the form now says what was refused."""
    actor, wish = actor_of(request), form.wish()
    version = wish.pop("version")
    wish |= {"variables": variables_in(rows), "draft": "draft" in request.POST}
    try:
        if template is None:
            saved = templates.add(actor, **wish)
        else:
            saved = templates.change(actor, template, version=version, **wish)
    except (InvalidInput, Conflict) as error:
        add_error(form, error)
        return None
    messages.success(request, f"{saved.name} was saved{' as a draft' if wish['draft'] else ''}.")
    return saved


@provider_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def remove(request: HttpRequest, script_id: uuid.UUID) -> HttpResponse:
    template = template_selectors.template(script_id)
    if request.method == "POST":
        templates.remove(actor_of(request), template)
        messages.success(request, f"{template.name} was removed.")
        return SeeOther(BASE)
    context = {
        "title": f"Remove {template.name}?",
        "ask": f"The template {template.name} and all its versions are removed. Nothing on any SBC changes. "
        "This cannot be undone.",
        "submit": "Remove",
        "danger": True,
        "form_action": f"{BASE}{template.uid}/remove/",
        "cancel_url": f"{BASE}{template.uid}/",
    }
    return render(request, "sbc/ask.html", context)
