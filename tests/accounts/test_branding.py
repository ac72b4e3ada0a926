"""The provider's brand: what is accepted, readable in both themes, shown everywhere, and nothing that runs."""

import struct
import zlib
from collections.abc import Iterator

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts import branding, colours, pictures
from accounts.models import Brand
from audit.models import Entry
from core.errors import InvalidInput
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast
from tests.pages.helpers import SignIn, post, text_of

JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\x00\x11\x08\x00\x20\x00\x40\x03"
    + bytes(9)
)


def png(width: int = 64, height: int = 64) -> bytes:
    """A whole, empty picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def webp(form: bytes, data: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + form + struct.pack("<I", len(data)) + data


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    branding.forget()
    yield
    branding.forget()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (png(), "image/png"),
        (JPEG, "image/jpeg"),
        (webp(b"VP8X", bytes(4) + b"\x3f\0\0\x3f\0\0"), "image/webp"),
        (webp(b"VP8L", b"\x2f" + ((63 << 14) | 63).to_bytes(4, "little")), "image/webp"),
        (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a\x40\0\x40\0"), "image/webp"),
    ],
)
def test_pictures_are_known_by_what_is_in_them(content: bytes, kind: str) -> None:
    assert pictures.check(content) == kind


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no PNG"),
        (b"<svg onload=alert(1)>", "no PNG"),
        (b"GIF89a" + bytes(100), "no PNG"),
        (b"<html>" + png(), "no PNG"),
        (png()[:18], "damaged"),
        (b"\xff\xd8\xff", "damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(60), "damaged"),
        (webp(b"VP8?", bytes(30)), "damaged"),
        (png(8, 64), "8 x 64"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 90_000, 90_000), "90000 x 90000"),
        (png() + bytes(100_000), "larger than 100"),
    ],
)
def test_what_is_no_logo_is_refused_with_its_reason(content: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        pictures.check(content)


@pytest.mark.parametrize("colour", ["#0b5cad", "#0B5CAD", "#a61b1b", "#5039a6", "#000000", "#14663b"])
def test_an_accent_is_readable_in_both_themes(colour: str) -> None:
    accent = colours.check(colour)
    rules = colours.stylesheet(accent)
    dark = rules.split("light-dark(")[1].split(",")[1].split(")")[0]
    for under in (*colours.LIGHT, colours.WHITE, colours.soft_light(accent)):
        assert colours.contrast(accent, under) >= 4.5
    for under in (*colours.DARK, colours.INK, colours.soft_dark(dark)):
        assert colours.contrast(dark, under) >= 4.5


def test_a_pale_accent_is_refused_and_a_readable_one_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        colours.check("#ffcc00")
    better = str(caught.value.fields["why"]).split("; ")[1].split()[0]
    assert colours.check(better) == better
    assert colours.contrast("#ffffff", "#000000") == pytest.approx(21)


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "#0b5cad;}", "url(x)"])
def test_what_is_no_colour(colour: str) -> None:
    with pytest.raises(InvalidInput):
        colours.check(colour)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("support_url", "http://plain.example"),
        ("support_url", "javascript:alert(1)"),
        ("support_url", 'https://x.example/" onclick="y'),
        ("support_url", "https://user@x.example"),
        ("feedback_url", "//x.example"),
        ("security_contact", "nobody"),
        ("security_contact", "a@b@c"),
        ("portal_name", "A\u202eB"),
        ("provider_name", "x" * 61),
    ],
)
def test_what_a_brand_does_not_take(field: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        branding.change(SYSTEM, {field: value})
    assert caught.value.field == field
    assert not Brand.objects.filter(row_version__gt=1).exists()


@pytest.mark.django_db
def test_it_is_shown_on_every_page_and_its_files_are_plain(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    sent = {
        "portal_name": "LiveCloud",
        "provider_name": "Finebak",
        "accent": "#5039A6",
        "support_url": "https://help.finebak.example",
        "security_contact": "security@finebak.example",
        "feedback_url": "https://docs.finebak.example/say",
        "version": "1",
        "logo": SimpleUploadedFile("x.svg", png(), "image/svg+xml"),
    }
    post(pia, "/settings/branding/", sent)
    for page in (text_of(pia, "/"), text_of(type(pia)(), "/accounts/login/")):
        for word in (
            "LiveCloud",
            "Finebak",
            "help.finebak.example",
            "mailto:security@finebak.example",
            "docs.finebak",
        ):
            assert word in page
        assert '<link rel="stylesheet" href="/brand/5039a6.css">' in page
        assert "/brand/logo-2" in page
    picture = type(pia)().get("/brand/logo-2")
    assert (picture["Content-Type"], picture.content) == ("image/png", png())
    assert picture["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in picture["Content-Security-Policy"]
    assert "immutable" in picture["Cache-Control"]
    assert "#5039a6" in text_of(pia, "/brand/5039a6.css")
    for gone in ("/brand/logo-1", "/brand/000000.css", "/brand/x.css"):
        text_of(pia, gone, 404)
    with scope.every("a test reads the trail"):
        assert "PNG" not in repr(Entry.objects.get(action="brand.changed").changes)
    post(pia, "/settings/branding/", {"version": "2", "no_logo": "on"})
    assert "/brand/" not in text_of(pia, "/")
    assert "UMP Portal" in text_of(pia, "/")


@pytest.mark.django_db
def test_mistakes_stand_beside_their_fields(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    wrong = {"version": "1", "logo": SimpleUploadedFile("x.png", b"<svg>", "image/png")}
    assert "no PNG, JPEG or WebP" in post(pia, "/settings/branding/", wrong, 422).content.decode()
    answer = post(pia, "/settings/branding/", {"version": "1", "accent": "#ffee00"}, 422)
    assert "cannot be read on white" in answer.content.decode()
    post(pia, "/settings/branding/", {"version": "1", "portal_name": "One"})
    assert "changed" in post(pia, "/settings/branding/", {"version": "1"}, 422).content.decode()
    text_of(client_of(cast.olga), "/settings/branding/", 403)
