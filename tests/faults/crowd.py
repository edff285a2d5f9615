# SPDX-License-Identifier: MIT
"""Two hundred clients, of whom each answer is counted: to say how many requests a fault may cost.

    with Crowd(server.port, "GET /api/spas") as crowd:
        crowd.answered(1000)
        mariadb.kill()
        ...
        calm = crowd.well()
        crowd.answered(1000)
    assert crowd.whole()
    assert crowd.statuses(since=calm) == {200: ...}

Each client has one connection that it keeps, and asks for the targets in turn, with a short pause in between: a
request, its whole answer, the next request. Each request has an id that its answer must bring back; an answer that
is not 200 must be a problem+json. Whatever else happens (a connection that breaks, an answer that never comes) is in
`broken`. All clients run on one event loop in a thread of its own. With `tls` (an ssl.SSLContext) they speak it.
"""
import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from typing import NamedTuple

from harness import PATIENCE, Response, assert_problem, wait_for


class Answer(NamedTuple):
    request: str                     # as it was given: "GET /api/spas"
    sent: float                      # time.monotonic()
    seconds: float
    status: int
    problem: Response                # None for 200
    id: str                          # that the request was sent with


class Crowd:
    def __init__(self, port, *requests, clients=200, pause=0.1, name="crowd", tls=None):
        self.port, self.clients, self.pause, self.name, self.tls = port, clients, pause, name, tls
        self.requests = requests
        self.sent, self.answers, self.broken = 0, [], []
        self._streaks = [0] * clients            # answers of 200 in a row, of each client
        self._ids = itertools.count(1)
        self._loop, self._over = asyncio.new_event_loop(), False
        self._going = asyncio.Event()
        self._going.set()
        self._thread = threading.Thread(target=self._run, name="crowd")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        """Ends after the requests under way."""
        self._over = True
        self.wake()
        self._thread.join()

    # -- what they do ------------------------------------------------------------------

    def _run(self):
        self._loop.run_until_complete(self._all())
        self._loop.close()

    async def _all(self):
        tasks = [asyncio.ensure_future(self._client(number)) for number in range(self.clients)]
        while not self._over:
            await asyncio.sleep(0.02)
        late = (await asyncio.wait(tasks, timeout=PATIENCE))[1]
        for task in late:
            task.cancel()
            self.broken.append(f"no answer in {PATIENCE} s")
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _client(self, number):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
            for request in itertools.islice(itertools.cycle(self.requests), number, None):
                await asyncio.sleep(self.pause * 2 * random.random())
                await self._going.wait()
                if self._over:
                    break
                answer = await self._ask(reader, writer, request)
                streaks = self._streaks                      # well() may put others in their place
                streaks[number] = streaks[number] + 1 if answer.status == 200 else 0
            writer.close()
        except Exception as problem:       # whatever it is, it is told by whole()
            self.broken.append(problem)

    async def _ask(self, reader, writer, request):
        number = f"{self.name}-{next(self._ids)}"
        head = f"{request} HTTP/1.1\r\nHost: crowd\r\nX-Request-Id: {number}\r\n"
        head += "Content-Length: 0\r\n\r\n" if request.startswith("POST") else "\r\n"
        self.sent += 1
        sent = time.monotonic()
        writer.write(head.encode())
        response = Response((await reader.readuntil(b"\r\n\r\n"))[:-4])
        response.body = await reader.readexactly(int(response.header("Content-Length")))
        assert response.header("X-Request-Id") == number, f"the answer to another request than {number}: {response}"
        if response.status != 200:
            assert_problem(response, response.status)
        answer = Answer(request, sent, time.monotonic() - sent, response.status,
                        response if response.status != 200 else None, number)
        self.answers.append(answer)
        return answer

    # -- leading them ---------------------------------------------------------------------

    def rest(self):
        """They send nothing more for now; returns when all that was sent is answered."""
        self._loop.call_soon_threadsafe(self._going.clear)
        time.sleep(0.1)
        self._wait(lambda: len(self.answers) == self.sent, "the last answers")

    def wake(self):
        self._loop.call_soon_threadsafe(self._going.set)

    def answered(self, more):
        """Waits until so many more were answered."""
        goal = len(self.answers) + more
        self._wait(lambda: len(self.answers) >= goal, f"{more} more answers")

    def well(self):
        """Waits until each client got 200 for each of its targets, twice in a row; the time when that was so."""
        wanted = 2 * len(self.requests)
        self._streaks = [0] * self.clients
        self._wait(lambda: min(self._streaks) >= wanted, "all clients to be served well")
        return time.monotonic()

    def _wait(self, condition, what):
        wait_for(lambda: self.broken or condition(), what)
        assert not self.broken, f"{len(self.broken)} broken connections: {self.broken[:3]}"

    # -- what they saw ---------------------------------------------------------------------

    def of(self, request="", since=0.0, until=float("inf")):
        """The answers to what was sent, and answered, in that time and begins so: "POST"."""
        return [answer for answer in list(self.answers)
                if since <= answer.sent and answer.sent + answer.seconds < until and answer.request.startswith(request)]

    def statuses(self, request="", since=0.0, until=float("inf")):
        return Counter(answer.status for answer in self.of(request, since, until))

    def problems(self, **which):
        """The answers that were not 200."""
        return [answer.problem for answer in self.of(**which) if answer.problem]

    def longest(self, **which):
        return max((answer.seconds for answer in self.of(**which)), default=0.0)

    def whole(self):
        """Whether every request was answered, each on the connection that it was sent on."""
        assert not self.broken, f"{len(self.broken)} broken connections: {self.broken[:3]}"
        assert self.sent == len(self.answers), f"{self.sent} sent, {len(self.answers)} answered"
        return True
