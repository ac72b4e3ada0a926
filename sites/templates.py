"""Managing scenario script templates (SBC-24). What is saved is a version and never changes; the newest one counts.

A script with wrong syntax is kept as a draft, if somebody says so, and is not executed: `check_executable`.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import transaction

from accounts.taken import once, still_there
from audiocodes import script as scripts
from audiocodes.script import ERROR, Finding, Variable
from audiocodes.script_lint import LONGEST
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from sites import template_defaults, template_selectors
from sites.models import Purpose, ScriptTemplate, ScriptVersion
from sites.template_selectors import variables_of
from tenants import scope
from tenants.access import Actor

MOST, MOST_VERSIONS, MOST_VARIABLES = 500, 1_000, 30
MOST_NAMES = 5
_KEEP: Any = object()
TAKEN = "another template has this name"


# --- What is wrong, and whether it is executed ----------------------------------------------------------------
def findings(
    text: str,
    variables: Sequence[Variable],
    purpose: str,
    *,
    paired: bool,
    of_partner: Sequence[Variable] | None = None,
) -> list[Finding]:
    """All that is wrong with a script. `of_partner` are the variables of the onboarding script it cleans up after."""
    found = scripts.lint(text, variables, purpose, paired=paired)
    if of_partner is not None:
        kinds = {each.name: each.kind for each in of_partner}
        for each in variables:
            if kinds.get(each.name) != each.kind:
                what = f"{each.name} is not a variable of its onboarding script, or of another type there."
                found.append(Finding(0, 0, ERROR, what, "A site has values for the onboarding script only."))
    return found


def findings_for(template: ScriptTemplate, text: str, variables: Sequence[Variable]) -> list[Finding]:
    """What would be wrong with it as a version of this template, as its pair stands now."""
    partner = template_selectors.partner(template)
    of_partner = None
    if partner is not None and template.purpose == Purpose.CLEANUP:
        of_partner = variables_of(template_selectors.version(partner))
    return findings(text, variables, template.purpose, paired=partner is not None, of_partner=of_partner)


def findings_of(version: ScriptVersion) -> list[Finding]:
    return findings_for(version.template, version.script, variables_of(version))


class Standing(NamedTuple):
    """A template as lists show it: its current version, what is wrong with that, how many sites it is for."""

    template: ScriptTemplate
    version: ScriptVersion
    findings: list[Finding]
    used: int


def standings(found: Sequence[ScriptTemplate]) -> list[Standing]:
    """In as many queries for many as for one."""
    newest = template_selectors.current(found)
    used = template_selectors.used_by(found)
    of_partner = template_selectors.partners_variables(found)
    rows = []
    for each in found:
        version = newest[each.id]
        wrong = findings(
            version.script,
            variables_of(version),
            each.purpose,
            paired=template_selectors.partner(each) is not None,
            of_partner=of_partner.get(each.id),
        )
        rows.append(Standing(each, version, wrong, used[each.id]))
    return rows


def executable(version: ScriptVersion) -> bool:
    """Whether it may be carried out on a device: nothing that was found is an error."""
    return not any(each.is_error for each in findings_of(version))


def check_executable(version: ScriptVersion) -> None:
    """Raises UmpError (script_wrong) that says where."""
    errors = [each for each in findings_of(version) if each.is_error]
    if errors:
        raise UmpError.of("script_wrong", thing=version.template.name, why=in_words(errors[0]))


def in_words(finding: Finding) -> str:
    where = f"line {finding.line}, character {finding.column}: " if finding.line else ""
    return f"{where}{finding.what.rstrip('.')}"


# --- Writing ----------------------------------------------------------------------------------------------------
@transaction.atomic
def add(
    actor: Actor,
    *,
    name: str,
    purpose: str,
    script: str,
    variables: Sequence[Variable] = (),
    description: str = "",
    cleanup: ScriptTemplate | None = None,
    draft: bool = False,
) -> ScriptTemplate:
    """A new template and its first version. Raises InvalidInput naming the field; `draft` lets errors pass."""
    if ScriptTemplate.objects.count() >= MOST:
        raise InvalidInput(field="name", why=f"there are {MOST} templates already")
    if purpose not in Purpose.values:
        raise InvalidInput(field="purpose", why="it is no script type")
    template = ScriptTemplate(purpose=purpose, created_by=actor.label)
    template.name = _name(template, name)
    template.description = _description(description)
    template.cleanup = _pair(template, cleanup)
    text = _checked(template, script, variables, draft=draft)
    with once("name", TAKEN):
        template.save()
    _new_version(actor, template, text, variables, 1)
    _record(actor, "script.added", template, {"Script type": (None, template.get_purpose_display())})
    return template


@transaction.atomic
def change(
    actor: Actor,
    template: ScriptTemplate,
    *,
    version: int | None = None,
    name: str = _KEEP,
    description: str = _KEEP,
    cleanup: ScriptTemplate | None = _KEEP,
    script: str = _KEEP,
    variables: Sequence[Variable] = _KEEP,
    draft: bool = False,
) -> ScriptTemplate:
    """What is not given stays. Another script or other variables make a new version.

    Raises InvalidInput naming the field; Conflict (conflict_version) when somebody was faster than `version`.
    """
    locked = still_there(ScriptTemplate.objects.filter(id=template.id), "script")
    if version is not None and locked.row_version != version:
        raise Conflict("conflict_version", thing=locked.name)
    newest = template_selectors.version(locked)
    before = _shown(locked, newest.number)
    if name is not _KEEP:
        locked.name = _name(locked, name)
    if description is not _KEEP:
        locked.description = _description(description)
    if cleanup is not _KEEP:
        locked.cleanup = _pair(locked, cleanup)
    text = newest.script if script is _KEEP else script
    wanted = variables_of(newest) if variables is _KEEP else list(variables)
    number = newest.number
    if plain(text) != newest.script or wanted != variables_of(newest):
        number += 1
        if number > MOST_VERSIONS:
            raise InvalidInput(field="script", why=f"there are {MOST_VERSIONS} versions already")
        text = _checked(locked, text, wanted, draft=draft)
        _new_version(actor, locked, text, wanted, number)
    after = _shown(locked, number)
    if after == before:
        return locked
    locked.row_version += 1
    with once("name", TAKEN):
        locked.save()
    changes = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    _record(actor, "script.changed", locked, changes)
    return locked


@transaction.atomic
def remove(actor: Actor, template: ScriptTemplate) -> None:
    """With all its versions. Raises Conflict naming the sites that use it."""
    locked = still_there(ScriptTemplate.objects.filter(id=template.id), "script")
    names = template_selectors.sites_of(locked, MOST_NAMES + 1)
    if names:
        more = ", and more" if len(names) > MOST_NAMES else ""
        why = f"it is used by {', '.join(names[:MOST_NAMES])}{more}"
        raise Conflict("conflict", thing=locked.name, why=why)
    ScriptTemplate.objects.filter(cleanup=locked).update(cleanup=None)
    _record(actor, "script.removed", locked, {"Script type": (locked.get_purpose_display(), None)})
    with scope.every("nobody's site may point at what is removed"):
        locked.delete()


@transaction.atomic
def add_defaults(actor: Actor) -> list[ScriptTemplate]:
    """The templates to begin with, without those whose name is taken; those that were added."""
    made: list[ScriptTemplate] = []
    for purpose, name, description, text, variables in template_defaults.wishes():
        if ScriptTemplate.objects.filter(name__iexact=name).exists():
            continue
        cleanup = None
        if purpose == Purpose.ONBOARDING:
            cleanup = ScriptTemplate.objects.filter(
                name=template_defaults.cleanup_name(name), purpose=Purpose.CLEANUP, onboarding=None
            ).first()
        made.append(
            add(
                actor,
                name=name,
                purpose=purpose,
                description=description,
                script=text,
                variables=variables,
                cleanup=cleanup,
            )
        )
    return made


def plain(text: str) -> str:
    """A script as it is kept: lines end in one way, no blanks at their ends, and no empty line at the end."""
    lines = [line.rstrip() for line in re.split(r"\r\n|\r|\n", text)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _name(template: ScriptTemplate, name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise InvalidInput(field="name", why="it needs 1 to 80 printable characters")
    if ScriptTemplate.objects.exclude(id=template.id).filter(name__iexact=name).exists():
        raise InvalidInput(field="name", why=TAKEN)
    return name


def _description(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > 500 or not text.isprintable():
        raise InvalidInput(field="description", why="it has at most 500 printable characters")
    return text


def _pair(template: ScriptTemplate, cleanup: ScriptTemplate | None) -> ScriptTemplate | None:
    if cleanup is None:
        return None
    if template.purpose != Purpose.ONBOARDING or cleanup.purpose != Purpose.CLEANUP:
        raise InvalidInput(
            field="cleanup", why="an onboarding script has a clean-up script, and no other pairs"
        )
    # Locked, so that two people cannot pair it at once.
    locked = still_there(ScriptTemplate.objects.filter(id=cleanup.id), "clean-up script")
    other = ScriptTemplate.objects.filter(cleanup=locked).exclude(id=template.id).first()
    if other is not None:
        raise InvalidInput(field="cleanup", why=f"it belongs to {other.name}")
    return locked


def _checked(template: ScriptTemplate, text: str, variables: Sequence[Variable], *, draft: bool) -> str:
    """The script in plain form. Raises InvalidInput for one that is wrong, unless it is a draft, or that is there."""
    text = plain(text)
    if len(text) > LONGEST:
        raise InvalidInput(field="script", why=f"it is longer than {LONGEST} characters")
    if len(variables) > MOST_VARIABLES:
        raise InvalidInput(field="variables", why=f"there are more than {MOST_VARIABLES}")
    # Each onboarding script has a clean-up of its own, so several of these may well say the same.
    onboards = template.purpose == Purpose.ONBOARDING
    other = template_selectors.same(template, text, variables) if onboards else None
    if other is not None:
        raise InvalidInput(field="script", why=f"{other.name} has the same one")
    if not draft:
        errors = [each for each in findings_for(template, text, variables) if each.is_error]
        if errors:
            raise InvalidInput(field="script", why=in_words(errors[0]))
    return text


def _new_version(
    actor: Actor, template: ScriptTemplate, text: str, variables: Sequence[Variable], number: int
) -> None:
    ScriptVersion.objects.create(
        template=template,
        number=number,
        script=text,
        variables=[each.to_json() for each in variables],
        made_by=actor.label,
    )


def _shown(template: ScriptTemplate, number: int) -> dict[str, object]:
    """For the trail; the script itself is in its version."""
    return {
        "Name": template.name,
        "Description": template.description,
        "Clean-up script": template.cleanup.name if template.cleanup else None,
        "version": number,
    }


def _record(actor: Actor, action: str, template: ScriptTemplate, changes: Changes) -> None:
    record(
        actor,
        action,
        tenant_id=None,
        object_kind="script",
        object_id=template.uid,
        object_label=template.name,
        changes=changes,
    )
