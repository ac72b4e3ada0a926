"""Pages stand on their own: no inline script or style, error pages without any context, one small stylesheet."""

import re
from pathlib import Path

import pytest
from django import forms
from django.conf import settings
from django.http import Http404
from django.template.loader import get_template, render_to_string
from django.test import Client, RequestFactory, override_settings

from ump_portal.pages.styleguide import styleguide

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted(
    path.relative_to(ROOT / "templates").as_posix() for path in (ROOT / "templates").rglob("*.html")
)
ERRORS = ["400", "403", "404", "429", "500", "503"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_compiles_and_holds_nothing_inline(name: str) -> None:
    get_template(name)
    source = (ROOT / "templates" / name).read_text()
    assert not re.search(r"\sstyle\s*=", source)
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", source)
    assert "<style" not in source
    for tag in re.findall(r"<script[^>]*>", source):
        assert "src=" in tag or 'type="application/json"' in tag


@pytest.mark.parametrize("code", ERRORS)
def test_error_pages_need_nothing(plain_look: None, code: str) -> None:
    html = render_to_string(f"errors/{code}.html")
    assert f"Error {code}" in html
    assert html.count("<h1>") == 1
    assert 'data-theme="auto"' in html


def test_the_stylesheet_stays_small() -> None:
    source = (ROOT / "static" / "ump.css").read_text()
    assert len(source.encode()) <= 18 * 1024
    assert "url(" not in source


def test_the_style_guide_exists_only_in_development_and_demo() -> None:
    with override_settings(DEBUG=False, DEMO=False), pytest.raises(Http404):
        styleguide(RequestFactory().get("/styleguide"))


def test_the_style_guide_shows_every_part(plain_look: None) -> None:
    html = Client().get("/styleguide").content.decode()
    assert html.count("<h1>") == 1
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert "&lt;b&gt;O&#x27;Reilly" in html


class Sample(forms.Form):
    name = forms.CharField(help_text="As on invoices")
    agree = forms.BooleanField()
    way = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)


def test_a_form_ties_labels_help_and_errors_to_its_fields(plain_look: None) -> None:
    html = Sample({"name": ""}).render()
    assert '<label for="id_name">Name <span class="req" aria-hidden="true">*</span></label>' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert 'aria-invalid="true"' in html
    assert "<legend>Way" in html


def test_the_summary_links_to_the_fields(plain_look: None) -> None:
    html = render_to_string("partials/form_errors.html", {"form": Sample({})})
    assert 'role="alert"' in html
    assert "3 things need your attention" in html
    assert 'href="#id_name"' in html
