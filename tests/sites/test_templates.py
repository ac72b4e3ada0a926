"""Scenario script templates: versions, pairs, what is refused, and that wrong ones are not executed."""

from typing import Any

import pytest

from audiocodes import inifile, script
from audiocodes.script import KNOWN, Variable
from core.errors import Conflict, InvalidInput, UmpError
from sbc.models import Sbc
from simulator.sbc.cli import Session
from simulator.sbc.tables import Configuration
from sites import template_defaults, template_selectors, templates
from sites.models import Configuration as SiteConfiguration
from sites.models import Purpose, ScriptTemplate, ScriptVersion, Site
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast

pytestmark = pytest.mark.django_db
GROUP = 'configure voip\nip-group {{new:ip-group}}\nname "IPG_{{SiteKey}}"\nactivate\nexit\nexit\n'
GONE = "configure voip\nno ip-group {{row:ip-group:IPG_<SiteKey>}}\nexit\n"
WRONG = "configure voip\nno ip-group 5\nexit\n"


def made(name: str = "One", purpose: str = Purpose.ONBOARDING, **more: Any) -> ScriptTemplate:
    text = GROUP if purpose == Purpose.ONBOARDING else GONE
    return templates.add(SYSTEM, **{"name": name, "purpose": purpose, "script": text, **more})


def current(template: ScriptTemplate) -> ScriptVersion:
    return template_selectors.version(template_selectors.template(template.uid))


def site_with(cast: Cast, template: ScriptTemplate) -> Site:
    sbc = Sbc.objects.create(name="sbc1", address="192.0.2.1", user="ump", created_by="x")
    with scope.one(cast.contoso.id):
        return Site.objects.create(
            tenant=cast.contoso,
            name="Zurich",
            sbc=sbc,
            configuration=SiteConfiguration.SIP_TRUNK,
            template=template,
            created_by="x",
        )


def test_the_templates_to_begin_with_make_a_site_and_take_it_away() -> None:
    assert len(templates.add_defaults(SYSTEM)) == 2 * len(template_defaults.DEFAULTS)
    assert templates.add_defaults(SYSTEM) == []
    device = Configuration()
    device.put("proxy-set", (1,), {"ProxyName": "PS_shared"})
    values = {
        **dict.fromkeys(script.AUTOMATIC, "x.contoso.example"),
        "SiteKey": "S7",
        "CarrierHostName": "sip.carrier.example",
        "CustomVar.Variable1": "192.0.2.9:5060",
        "CarrierUserName": "user",
        "CarrierMainLine": "+41445550000",
        "ProxySet": "PS_shared",
        "CacProfile": "10 sessions",
    }

    def run(template: ScriptTemplate) -> None:
        version = current(template)
        assert templates.findings_of(version) == []
        assert templates.executable(version)
        known = dict(inifile.read(device.ini(), script.INI))
        rows = script.resolve(version.script, known, values)
        lines = script.render(version.script, {**values, **rows}, {"CarrierUserPassword": "x y"})
        Session(device).run(script.as_script(lines))

    before = device.ini()
    for template in template_selectors.templates(purpose=Purpose.ONBOARDING):
        run(template)
        assert device.ini() != before
        assert template.cleanup is not None
        run(template.cleanup)
        assert device.ini() == before, template.name


def test_what_is_saved_is_a_version_that_stays() -> None:
    template = made()
    other = GROUP.replace("IPG", "IPX")
    changed = templates.change(SYSTEM, template, version=1, script=other)
    assert [each.number for each in template_selectors.versions(template)] == [2, 1]
    assert template_selectors.version(template, 1).script == GROUP
    templates.change(SYSTEM, changed, name="Renamed", script=other.replace("\n", " \r\n") + "\n\n")
    assert current(template).number == 2  # blanks at the ends make no version
    templates.change(SYSTEM, changed, variables=[KNOWN["CacProfile"]])
    assert template_selectors.variables_of(current(template)) == [KNOWN["CacProfile"]]
    assert templates.change(SYSTEM, changed).row_version == 4
    with pytest.raises(Conflict, match="changed"):
        templates.change(SYSTEM, template, version=1, name="Too late")


@pytest.mark.parametrize(
    ("wish", "field", "why"),
    [
        ({"name": " one "}, "name", "another template has this name"),
        ({"name": ""}, "name", "1 to 80"),
        ({"name": "a\nb\0"}, "name", "1 to 80"),
        ({}, "script", "One has the same one"),
        ({"script": WRONG}, "script", "line 2, character 13: What stands in this place differs"),
        ({"script": "x" * 100_001, "draft": True}, "script", "longer than"),
        ({"purpose": "other"}, "purpose", "no script type"),
        ({"variables": [KNOWN["CacProfile"]] * 31, "draft": True}, "variables", "more than 30"),
        ({"description": "x" * 501}, "description", "at most 500"),
    ],
)
def test_what_is_refused(wish: dict[str, Any], field: str, why: str) -> None:
    made("One")
    with pytest.raises(InvalidInput, match=why) as refused:
        made(**{"name": "Two", **wish})
    assert refused.value.fields["field"] == field


def test_a_former_script_is_no_duplicate() -> None:
    templates.change(SYSTEM, made("One"), script=GROUP.replace("IPG", "IPX"))
    made("Two")


def test_a_draft_is_kept_and_not_executed() -> None:
    version = current(made(script=WRONG, draft=True))
    assert not templates.executable(version)
    with pytest.raises(
        UmpError, match="One is not executed, because it is wrong: line 2, character 13"
    ) as said:
        templates.check_executable(version)
    assert said.value.code == "script_wrong"
    templates.check_executable(current(templates.change(SYSTEM, version.template, script=GROUP)))


def test_pairs() -> None:
    cleanup = made("Away", Purpose.CLEANUP)
    first = made("One", cleanup=cleanup)
    assert template_selectors.partner(template_selectors.template(cleanup.uid)) == first
    second = made("Two", script=GROUP.replace("IPG", "IPX"))
    with pytest.raises(InvalidInput, match="it belongs to One"):
        templates.change(SYSTEM, second, cleanup=cleanup)
    with pytest.raises(InvalidInput, match="no other pairs"):
        templates.change(SYSTEM, second, cleanup=first)
    with pytest.raises(InvalidInput, match="no other pairs"):
        templates.change(SYSTEM, cleanup, cleanup=second)
    assert [each.name for each in template_selectors.free_cleanups(second)] == []
    assert [each.name for each in template_selectors.free_cleanups(first)] == ["Away"]
    found = templates.findings_of(current(second))
    assert [each.what for each in found] == ["There is no clean-up script for it."]
    templates.remove(SYSTEM, cleanup)
    assert template_selectors.template(first.uid).cleanup is None


def test_a_clean_up_knows_the_values_of_its_onboarding_only() -> None:
    variable = Variable("CustomVar.Variable1")
    text = GONE.replace("SiteKey", variable.name)
    cleanup = made("Away", Purpose.CLEANUP, script=text, variables=[variable])
    made("One", cleanup=cleanup)
    with pytest.raises(UmpError, match="not a variable of its onboarding script"):
        templates.check_executable(current(cleanup))
    templates.change(
        SYSTEM,
        ScriptTemplate.objects.get(name="One"),
        script=GROUP.replace("SiteKey", variable.name),
        variables=[variable],
    )
    templates.check_executable(current(cleanup))


def test_what_sites_use_is_not_removed(cast: Cast) -> None:
    cleanup = made("Away", Purpose.CLEANUP)
    template = made(cleanup=cleanup)
    site = site_with(cast, template)
    for each in (template, cleanup):
        with pytest.raises(Conflict, match="it is used by Contoso: Zurich"):
            templates.remove(SYSTEM, template_selectors.template(each.uid))
    found = template_selectors.templates()
    assert set(template_selectors.used_by(found).values()) == {1}
    with scope.one(cast.contoso.id):
        Site.objects.filter(id=site.id).update(template=None, applied=current(cleanup))
    with pytest.raises(Conflict):
        templates.remove(SYSTEM, cleanup)
    templates.remove(SYSTEM, template)
    assert not ScriptTemplate.objects.filter(id=template.id).exists()
