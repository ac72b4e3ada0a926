"""A request is let go when its answer was sent, and not before."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.utils.datastructures import MultiValueDict

from ump_portal.middleware import LetGoMiddleware

pytestmark = pytest.mark.usefixtures("one_connection")


def test_what_was_uploaded_is_closed() -> None:
    request: Any = RequestFactory().post("/")
    upload = TemporaryUploadedFile("numbers.csv", "text/csv", 3, "utf-8")
    request._files = MultiValueDict({"file": [upload]})
    answer = LetGoMiddleware(lambda _: HttpResponse("done"))(request)
    assert not upload.closed
    answer.close()
    assert upload.closed
    assert vars(request) == {}


def test_an_answer_that_streams_has_its_request_to_the_last_row() -> None:
    def rows(request: HttpRequest) -> Iterator[str]:
        yield request.path
        yield request.path

    answer: Any = LetGoMiddleware(lambda request: StreamingHttpResponse(rows(request)))(
        RequestFactory().get("/a")
    )
    assert list(answer) == [b"/a", b"/a"]
    answer.close()
