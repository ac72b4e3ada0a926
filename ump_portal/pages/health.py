"""Is this process able to serve? For load balancers and `ump up`; says nothing about customers."""

import logging

from django.db import OperationalError, connection
from django.http import HttpRequest, JsonResponse

logger = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> JsonResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except OperationalError as error:
        logger.warning("The database does not answer: %s", " ".join(str(error).split()))
        return JsonResponse({"status": "database unavailable"}, status=503)
    return JsonResponse({"status": "ok"})
