# SPDX-License-Identifier: MIT
"""The specification's scenario: 500 users, weights 3:2:1, one to three seconds between two requests.

    locust -f loadtest/locustfile.py --host=http://localhost:8000 --users=500 --spawn-rate=50 ApiUser

(or all of it, server included: make loadtest). Each virtual user has an address of its own, told by X-Forwarded-For as
a proxy would, because the limiter is on and counts by address: 500 users of one address are one user who asks too often.
So the server must trust this machine: TRUSTED_PROXIES=127.0.0.0/8. At 20 to 60 requests a minute nobody comes over the
limit of 60.

ApiUser is on python-requests as in the specification, which costs about two milliseconds of processor a request;
FastApiUser does the same on another client, for thousands of users.
"""
import itertools

from locust import FastHttpUser, HttpUser, between, runners, task

# Debian 12's package has lost its version, and a master refuses workers without one.
runners.__version__ = runners.__version__ or "2.12.1"

numbers = itertools.count(1)


def own_address(runner):
    """10.(128 + process).x.y: several processes of Locust share the users, each knows its number."""
    number = next(numbers)
    process = getattr(runner, "worker_index", 0)
    return f"10.{128 + process}.{number >> 8 & 255}.{number & 255}"


class ApiUser(HttpUser):
    wait_time = between(1, 3)

    def on_start(self):
        self.headers = {"X-Forwarded-For": own_address(self.environment.runner)}

    @task(3)
    def get_templates(self):
        self.client.get("/api/certificates/templates", headers=self.headers)

    @task(2)
    def get_public_certificates(self):
        self.client.get("/api/certificates/public", headers=self.headers)

    @task(1)
    def health_check(self):
        self.client.get("/health", headers=self.headers)


class FastApiUser(FastHttpUser):
    wait_time, on_start, tasks = ApiUser.wait_time, ApiUser.on_start, ApiUser.tasks
