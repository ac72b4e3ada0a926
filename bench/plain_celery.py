"""What one would write without a queue of one's own: a Celery task that makes the call. No safety at all."""

import os
import threading
import time

import redis
import requests
from celery import Celery

app = Celery("plain", broker=os.environ["BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    task_default_queue="plain",  # the product's rings are not for it
)
DONE = "bench:done"
_mine = threading.local()


@app.task(name="bench.call")
def call(times: int = 1) -> None:
    if not hasattr(_mine, "session"):
        _mine.session, _mine.redis = requests.Session(), redis.Redis.from_url(os.environ["BROKER_URL"])
    begun = time.time()
    for _ in range(times):
        _mine.session.get(
            os.environ["BENCH_URL"] + "/v1.0/organization?$select=id",
            headers={"Host": "graph.microsoft.com", "Authorization": f"Bearer {os.environ['BENCH_TOKEN']}"},
            timeout=30,
        ).raise_for_status()
    _mine.redis.rpush(DONE, f"{begun} {time.time()}")
