"""What one would write first: a logged-in list of fifty out of many rows, as a page and by Django REST framework.

In a process of its own: what it leaves for Python's collector must not be cleared away in a page of ours.
"""

import multiprocessing
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.handlers.wsgi import WSGIHandler
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client, override_settings
from django.urls import path
from rest_framework import authentication, generics, pagination, permissions, serializers

from accounts.models import User
from bench.asking import Asker, Took, settled

PAGE = engines["django"].from_string(
    """<!doctype html><html lang="en"><head><title>Customers</title></head><body><table>
<thead><tr><th>Name</th><th>Domain</th><th>Plan</th><th>Users</th><th>Created</th></tr></thead><tbody>
{% for row in page %}<tr><td><a href="/plain/{{ row.id }}/">{{ row.name }}</a></td><td>{{ row.domain }}</td>
<td>{{ row.plan }}</td><td>{{ row.users_count }}</td><td>{{ row.created_at|date:"Y-m-d H:i" }}</td></tr>
{% endfor %}</tbody></table><p>{{ page.number }} of {{ page.paginator.num_pages }}</p></body></html>"""
)
MIDDLEWARE = [
    "bench.plain_list.addresses",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
"""As `startproject` writes them, behind what gives this process two sites."""


def addresses(following: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def through(request: HttpRequest) -> HttpResponse:
        request.urlconf = "bench.plain_list"
        return following(request)

    return through


class Site(AbstractContextManager["Site"]):
    """The plain site, in its own process as long as the block lasts."""

    def __init__(self, email: str) -> None:
        here, there = multiprocessing.Pipe()
        self._line: Connection = here
        spawned = multiprocessing.get_context("spawn")
        self._process = spawned.Process(target=_serve, args=(there, email), daemon=True)
        self._process.start()
        self.queries: dict[str, int] = here.recv()

    def took(self, path: str) -> Took:
        self._line.send(path)
        found: Took = self._line.recv()
        return found

    def __exit__(self, *failed: object) -> None:
        self._process.terminate()
        self._process.join()


def _serve(line: Connection, email: str) -> None:
    """Signed in as a plain project does it: Django's own sessions, and a query for the person."""
    settings.ALLOWED_HOSTS = ["*"]
    client = Client()
    with override_settings(MIDDLEWARE=MIDDLEWARE, SESSION_ENGINE="django.contrib.sessions.backends.db"):
        site = WSGIHandler()
        client.force_login(User.objects.get(email=email), backend=settings.AUTHENTICATION_BACKENDS[0])
    askers = {path: Asker(site, client, path, {}) for path in ADDRESSES}
    line.send(dict(zip(ADDRESSES, settled(list(askers.values())), strict=True)))
    while True:
        line.send(askers[line.recv()].took())


class Customer(models.Model):
    name = models.CharField(max_length=120)
    domain = models.CharField(max_length=253)
    plan = models.CharField(max_length=20)
    users_count = models.IntegerField()
    created_at = models.DateTimeField()

    class Meta:
        app_label = "bench"
        db_table = "plain_customer"
        managed = False


TABLE = """
    CREATE TABLE plain_customer (id bigint PRIMARY KEY, name text NOT NULL, domain text NOT NULL, plan text NOT NULL,
        users_count int NOT NULL, created_at timestamptz NOT NULL);
    INSERT INTO plain_customer SELECT n, 'Customer ' || n, 'c' || n || '.example', 'pro', n, now()
        FROM generate_series(1, 10000) n;
    CREATE INDEX ON plain_customer (name);
    GRANT SELECT ON plain_customer TO ump_app, ump_every;
    ANALYZE plain_customer
"""


@login_required
def page(request: HttpRequest) -> HttpResponse:
    rows = Paginator(Customer.objects.order_by("name"), 50).get_page(request.GET.get("page"))
    return HttpResponse(PAGE.render({"page": rows}, request))


class Row(serializers.ModelSerializer):
    class Meta:
        model = Customer
        fields = "__all__"


class Fifty(pagination.PageNumberPagination):
    page_size = 50


class Api(generics.ListAPIView):
    queryset = Customer.objects.order_by("name")
    serializer_class = Row
    pagination_class = Fifty
    authentication_classes = (authentication.SessionAuthentication,)
    permission_classes = (permissions.IsAuthenticated,)


ADDRESSES = PAGE_LIST, API_LIST = "/plain/", "/plain-api/"
urlpatterns = [path(PAGE_LIST[1:], page), path(API_LIST[1:], Api.as_view())]
