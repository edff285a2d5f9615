# SPDX-License-Identifier: MIT
"""Hostile and malformed requests: one table, each row a request as raw bytes.

A row says which statuses are right and what becomes of the connection:
  CLOSE   one response, then the end: nothing that follows is answered
  OPEN    one response, and the next request on the connection is answered
  EITHER  one response; the connection may go on or not, but if it does, the next
          response is that of the next request, and of nothing smuggled before it

After each row the server must answer /health on a new connection.
"""
import re

import pytest

from harness import Closed

SETTINGS = {"MAX_BODY_BYTES": "10M"}

CLOSE, OPEN, EITHER = "CLOSE", "OPEN", "EITHER"

BAD = {400}
HOST = b"Host: sanad.test\r\n"
# Where a front server and ours would disagree about where a request ends, this would be the second one.
POISON = b"GET /smuggled HTTP/1.1\r\nHost: sanad.test\r\nX-Request-Id: smuggled\r\n\r\n"
PROBE = b"GET /health HTTP/1.1\r\nHost: sanad.test\r\nX-Request-Id: the-probe\r\nConnection: close\r\n\r\n"


def line(request_line):
    """A request whose only fault may be its first line."""
    return request_line + b"\r\n" + HOST + b"\r\n"


def target(raw):
    return line(b"GET " + raw + b" HTTP/1.1")


def field(raw):
    """A GET with one more header line, as it stands."""
    return b"GET /health HTTP/1.1\r\n" + HOST + raw + b"\r\n\r\n"


def host(*lines):
    return b"GET /health HTTP/1.1\r\n" + b"".join(b"Host:" + value + b"\r\n" for value in lines) + b"\r\n"


def length(raw, body=b"hello"):
    """A POST with this Content-Length line, a body, and the poison behind it."""
    return b"POST /health HTTP/1.1\r\n" + HOST + raw + b"\r\n\r\n" + body + POISON


def coding(raw, body=b"5\r\nhello\r\n0\r\n\r\n", version=b"1.1"):
    return b"POST /health HTTP/" + version + b"\r\n" + HOST + raw + b"\r\n\r\n" + body + POISON


def chunks(body):
    return coding(b"Transfer-Encoding: chunked", body)


# What a POST with a broken chunked body may hear: the route takes no POST, so 405 may come before the body is judged.
BROKEN_BODY = {400, 405, 413, 431}

TABLE = [
    # name                                 request                                               statuses     then
    # -- the request line
    ("line: two spaces before target",     line(b"GET  /health HTTP/1.1"),                        BAD,         CLOSE),
    ("line: two spaces before version",    line(b"GET /health  HTTP/1.1"),                        BAD,         CLOSE),
    ("line: tab for space",                line(b"GET\t/health\tHTTP/1.1"),                       BAD,         CLOSE),
    ("line: leading space",                line(b" GET /health HTTP/1.1"),                        BAD,         CLOSE),
    ("line: trailing space",               line(b"GET /health HTTP/1.1 "),                        BAD,         CLOSE),
    ("line: method only",                  line(b"GET"),                                          BAD,         CLOSE),
    ("line: no target",                    line(b"GET HTTP/1.1"),                                 BAD,         CLOSE),
    ("line: empty target",                 line(b"GET  HTTP/1.1"),                                BAD,         CLOSE),
    ("line: no version (HTTP/0.9)",        b"GET /health\r\n\r\n",                                {400, 505},  CLOSE),
    ("line: no method",                    line(b" /health HTTP/1.1"),                            BAD,         CLOSE),
    ("line: HTTP/2.0",                     line(b"GET /health HTTP/2.0"),                         {505},       CLOSE),
    ("line: HTTP/3.0",                     line(b"GET /health HTTP/3.0"),                         {505},       CLOSE),
    ("line: HTTP/0.9 spelled out",         line(b"GET /health HTTP/0.9"),                         {400, 505},  CLOSE),
    ("line: HTTP/1.10",                    line(b"GET /health HTTP/1.10"),                        BAD,         CLOSE),
    ("line: HTTP/1.",                      line(b"GET /health HTTP/1."),                          BAD,         CLOSE),
    ("line: HTTP/1,1",                     line(b"GET /health HTTP/1,1"),                         BAD,         CLOSE),
    ("line: HTTP/x.1",                     line(b"GET /health HTTP/x.1"),                         BAD,         CLOSE),
    ("line: lower-case version",           line(b"GET /health http/1.1"),                         BAD,         CLOSE),
    ("line: another protocol's version",   line(b"GET /health ICAP/1.0"),                         BAD,         CLOSE),
    ("line: NUL",                          line(b"GET /hea\0lth HTTP/1.1"),                       BAD,         CLOSE),
    ("line: bare CR inside",               line(b"GET /hea\rlth HTTP/1.1"),                       BAD,         CLOSE),
    ("line: ends with LF only",            b"GET /health HTTP/1.1\n" + HOST + b"\r\n",            BAD,         CLOSE),
    ("line: one empty line before",        b"\r\n" + line(b"GET /health HTTP/1.1"),               {200},       OPEN),
    ("line: two empty lines before",       b"\r\n\r\n" + line(b"GET /health HTTP/1.1"),           BAD,         CLOSE),
    ("line: bare LF before",               b"\n" + line(b"GET /health HTTP/1.1"),                 BAD,         CLOSE),
    ("line: 8,190 bytes",                  target(b"/" + b"a" * (8190 - 14)),                     {404},       OPEN),
    ("line: 8,191 bytes",                  target(b"/" + b"a" * (8191 - 14)),                     {414},       CLOSE),
    ("line: 64 KB without an end",         b"GET /" + b"a" * 65536,                               {414},       CLOSE),
    ("line: 1 MB of method",               b"G" * 1048576,                                        {400, 414},  CLOSE),
    ("line: 8,191 bytes of query",         target(b"/health?" + b"q" * 8180),                     {414},       CLOSE),

    # -- methods
    ("method: unknown token",              line(b"BREW /health HTTP/1.1"),                        {501},       CLOSE),
    ("method: lower case",                 line(b"get /health HTTP/1.1"),                         {501},       CLOSE),
    ("method: TRACE",                      line(b"TRACE /health HTTP/1.1"),                       {405, 501},  EITHER),
    ("method: CONNECT",                    line(b"CONNECT sanad.test:80 HTTP/1.1"),               {400, 405, 501}, CLOSE),
    ("method: not a token",                line(b"G@T /health HTTP/1.1"),                         BAD,         CLOSE),
    ("method: with a bracket",             line(b"GET( /health HTTP/1.1"),                        BAD,         CLOSE),
    ("method: control character",          line(b"GE\x01T /health HTTP/1.1"),                     BAD,         CLOSE),
    ("method: byte above ASCII",           line(b"G\xc9T /health HTTP/1.1"),                      BAD,         CLOSE),
    ("method: known one, not here",        line(b"DELETE /health HTTP/1.1"),                      {405},       OPEN),

    # -- the target's form and its escapes
    ("target: * with GET",                 target(b"*"),                                          BAD,         CLOSE),
    ("target: * with OPTIONS",             line(b"OPTIONS * HTTP/1.1"),                           {200, 204},  OPEN),
    ("target: without a slash",            target(b"health"),                                     BAD,         CLOSE),
    ("target: authority only",             target(b"sanad.test:80"),                              BAD,         CLOSE),
    ("target: absolute, same host",        target(b"http://sanad.test/health"),                   {200},       OPEN),
    ("target: absolute, another host",     target(b"http://evil.test/health"),                    BAD,         CLOSE),
    ("target: absolute, user in it",       target(b"http://a@sanad.test/health"),                 BAD,         CLOSE),
    ("target: absolute, no host",          target(b"http:///health"),                             BAD,         CLOSE),
    ("target: absolute, no path",          target(b"http://sanad.test?a=b"),                      {200, 404},  EITHER),
    ("target: another scheme",             target(b"ftp://sanad.test/health"),                    BAD,         CLOSE),
    ("target: javascript",                 target(b"javascript:alert(1)"),                        BAD,         CLOSE),
    ("target: fragment",                   target(b"/health#top"),                                BAD,         CLOSE),
    ("target: raw space",                  target(b"/hea lth"),                                   BAD,         CLOSE),
    ("target: raw byte above ASCII",       target(b"/hea\xffth"),                                 BAD,         CLOSE),
    ("target: control character",          target(b"/hea\x01lth"),                                BAD,         CLOSE),
    ("target: DEL",                        target(b"/hea\x7flth"),                                BAD,         CLOSE),
    ("target: escape of NUL",              target(b"/%00"),                                       BAD,         EITHER),
    ("target: NUL after a real path",      target(b"/health%00.png"),                             BAD,         EITHER),
    ("target: escape of CR LF",            target(b"/a%0d%0aSet-Cookie:x"),                       BAD,         EITHER),
    ("target: escape without digits",      target(b"/%zz"),                                       BAD,         EITHER),
    ("target: escape cut short",           target(b"/%4"),                                        BAD,         EITHER),
    ("target: lone percent sign",          target(b"/100%"),                                      BAD,         EITHER),
    ("target: escape with a sign",         target(b"/%+1"),                                       BAD,         EITHER),
    ("target: dot segments",               target(b"/api/../health"),                             BAD,         EITHER),
    ("target: dot segments, escaped",      target(b"/api/%2e%2e/health"),                         BAD,         EITHER),
    ("target: dot segments, half escaped", target(b"/api/.%2E/health"),                           BAD,         EITHER),
    ("target: single dot segment",         target(b"/./health"),                                  BAD,         EITHER),
    ("target: out of the root",            target(b"/../../../../etc/passwd"),                    BAD,         EITHER),
    ("target: escaped twice",              target(b"/%252e%252e/health"),                         {400, 404},  EITHER),
    ("target: escaped slash",              target(b"/api%2Fspas"),                                {400, 404},  EITHER),
    ("target: backslashes",                target(b"/..\\..\\etc\\passwd"),                       {400, 404},  EITHER),
    ("target: not UTF-8",                  target(b"/%ff%fe"),                                    BAD,         EITHER),
    ("target: overlong UTF-8",             target(b"/%c0%ae%c0%ae/health"),                       BAD,         EITHER),
    ("target: surrogate in UTF-8",         target(b"/%ed%a0%80"),                                 BAD,         EITHER),
    ("target: two slashes in front",       target(b"//evil.test/health"),                         {400, 404},  EITHER),
    ("target: 3,000 segments",             target(b"/a" * 3000),                                  {400, 404, 414}, EITHER),
    ("target: 1,000 query parameters",     target(b"/api/spas?" + b"a=1&" * 1000),                {400, 422},  EITHER),

    # -- header lines
    ("field: no colon",                    field(b"Nonsense"),                                    BAD,         CLOSE),
    ("field: no name",                     field(b": value"),                                     BAD,         CLOSE),
    ("field: space before the colon",      field(b"X-A : value"),                                 BAD,         CLOSE),
    ("field: tab before the colon",        field(b"X-A\t: value"),                                BAD,         CLOSE),
    ("field: space in the name",           field(b"X A: value"),                                  BAD,         CLOSE),
    ("field: bracket in the name",         field(b"X(A): value"),                                 BAD,         CLOSE),
    ("field: NUL in the name",             field(b"X\0A: value"),                                 BAD,         CLOSE),
    ("field: byte above ASCII in name",    field(b"X\xe9: value"),                                BAD,         CLOSE),
    ("field: folded with a space",         field(b"X-A: one\r\n two"),                            BAD,         CLOSE),
    ("field: folded with a tab",           field(b"X-A: one\r\n\ttwo"),                           BAD,         CLOSE),
    ("field: first one folded",            b"GET /health HTTP/1.1\r\n " + HOST + b"\r\n",         BAD,         CLOSE),
    ("field: NUL in the value",            field(b"X-A: a\0b"),                                   BAD,         CLOSE),
    ("field: bare CR in the value",        field(b"X-A: a\rb"),                                   BAD,         CLOSE),
    ("field: bare LF in the value",        field(b"X-A: a\nX-B: b"),                              BAD,         CLOSE),
    ("field: CR CR LF",                    field(b"X-A: a\r"),                                    BAD,         CLOSE),
    ("field: control character in value",  field(b"X-A: a\x01b"),                                 BAD,         CLOSE),
    ("field: escape character in value",   field(b"X-A: \x1b[2J"),                                BAD,         CLOSE),
    ("field: DEL in the value",            field(b"X-A: a\x7fb"),                                 BAD,         CLOSE),
    ("field: tab in the value is fine",    field(b"X-A: a\tb"),                                   {200},       OPEN),
    ("field: bytes above ASCII are fine",  field(b"X-A: caf\xc3\xa9"),                            {200},       OPEN),
    ("field: empty value is fine",         field(b"X-A:"),                                        {200},       OPEN),
    ("field: LF line ends throughout",     b"GET /health HTTP/1.1\nHost: sanad.test\n\n",         BAD,         CLOSE),
    ("field: CR line ends throughout",     b"GET /health HTTP/1.1\rHost: sanad.test\r\r" + POISON, BAD,        CLOSE),
    ("field: LF for the empty line",       b"GET /health HTTP/1.1\r\n" + HOST + b"\n",            BAD,         CLOSE),
    ("field: 100 of them",                 field(b"\r\n".join(b"X-%d: v" % i for i in range(99))), {200},      OPEN),
    ("field: 101 of them",                 field(b"\r\n".join(b"X-%d: v" % i for i in range(100))), {431},     CLOSE),
    ("field: 9 KB in one",                 field(b"X-A: " + b"a" * 9000),                         {431},       CLOSE),
    ("field: 17 KB in several",            field(b"\r\n".join(b"X-%d: " % i + b"a" * 4000 for i in range(5))), {431}, CLOSE),
    ("field: 1 MB without an end",         b"GET /health HTTP/1.1\r\nX-A: " + b"a" * 1048576,     {431},       CLOSE),
    ("field: 10,000 short ones",           field(b"\r\n".join(b"a:" for _ in range(10000))),      {431},       CLOSE),
    ("field: two Content-Types",           field(b"Content-Type: a/b\r\nContent-Type: c/d"),      BAD,         CLOSE),

    # -- Host
    ("host: missing",                      b"GET /health HTTP/1.1\r\n\r\n",                       BAD,         CLOSE),
    ("host: missing in HTTP/1.0 is fine",  b"GET /health HTTP/1.0\r\n\r\n",                       {200},       CLOSE),
    ("host: twice, different",             host(b" sanad.test", b" evil.test"),                   BAD,         CLOSE),
    ("host: twice, the same",              host(b" sanad.test", b" sanad.test"),                  BAD,         CLOSE),
    ("host: list",                         host(b" sanad.test, evil.test"),                       BAD,         CLOSE),
    ("host: two words",                    host(b" sanad.test evil.test"),                        BAD,         CLOSE),
    ("host: empty",                        host(b""),                                             BAD,         CLOSE),
    ("host: with a path",                  host(b" sanad.test/evil"),                             BAD,         CLOSE),
    ("host: with a user",                  host(b" root@sanad.test"),                             BAD,         CLOSE),
    ("host: port is a word",               host(b" sanad.test:http"),                             BAD,         CLOSE),
    ("host: port out of range",            host(b" sanad.test:99999"),                            BAD,         CLOSE),
    ("host: two ports",                    host(b" sanad.test:80:80"),                            BAD,         CLOSE),
    ("host: NUL",                          host(b" sanad\0.test"),                                BAD,         CLOSE),
    ("host: markup",                       host(b" <script>"),                                    BAD,         CLOSE),
    ("host: open bracket",                 host(b" [::1"),                                        BAD,         CLOSE),
    ("host: IPv6 with a port is fine",     host(b" [::1]:8000"),                                  {200},       OPEN),
    ("host: space before the colon",       b"GET /health HTTP/1.1\r\nHost : sanad.test\r\n\r\n",  BAD,         CLOSE),

    # -- Content-Length
    ("length: and chunked",                length(b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"), BAD, CLOSE),
    ("length: after chunked",              length(b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"), BAD, CLOSE),
    ("length: twice, different",           length(b"Content-Length: 5\r\nContent-Length: 0"),     BAD,         CLOSE),
    ("length: twice, the same",            length(b"Content-Length: 5\r\nContent-Length: 5"),     BAD,         CLOSE),
    ("length: list, the same",             length(b"Content-Length: 5, 5"),                       BAD,         CLOSE),
    ("length: list, different",            length(b"Content-Length: 0, 5"),                       BAD,         CLOSE),
    ("length: plus sign",                  length(b"Content-Length: +5"),                         BAD,         CLOSE),
    ("length: minus sign",                 length(b"Content-Length: -5"),                         BAD,         CLOSE),
    ("length: minus nought",               length(b"Content-Length: -0"),                         BAD,         CLOSE),
    ("length: hexadecimal",                length(b"Content-Length: 0x5"),                        BAD,         CLOSE),
    ("length: hexadecimal digit",          length(b"Content-Length: a"),                          BAD,         CLOSE),
    ("length: leading nought",             length(b"Content-Length: 05"),                         BAD,         CLOSE),
    ("length: underscore",                 length(b"Content-Length: 5_0"),                        BAD,         CLOSE),
    ("length: space inside",               length(b"Content-Length: 5 0"),                        BAD,         CLOSE),
    ("length: vertical tab",               length(b"Content-Length: \x0b5"),                      BAD,         CLOSE),
    ("length: decimal point",              length(b"Content-Length: 5.0"),                        BAD,         CLOSE),
    ("length: exponent",                   length(b"Content-Length: 5e0"),                        BAD,         CLOSE),
    ("length: quoted",                     length(b'Content-Length: "5"'),                        BAD,         CLOSE),
    ("length: empty",                      length(b"Content-Length:"),                            BAD,         CLOSE),
    ("length: a word",                     length(b"Content-Length: five"),                       BAD,         CLOSE),
    ("length: wide digit",                 length("Content-Length: ５".encode()),                 BAD,         CLOSE),
    ("length: over 63 bits",               length(b"Content-Length: 9223372036854775808"),        {400, 413},  CLOSE),
    ("length: over 64 bits",               length(b"Content-Length: 18446744073709551621"),       {400, 413},  CLOSE),
    ("length: 100 digits",                 length(b"Content-Length: " + b"9" * 100),              {400, 413},  CLOSE),
    ("length: one over the limit",         length(b"Content-Length: 10485761", b""),              {413},       CLOSE),
    ("length: a terabyte",                 length(b"Content-Length: 1099511627776", b""),         {413},       CLOSE),
    ("length: space before the colon",     length(b"Content-Length : 5"),                         BAD,         CLOSE),
    ("length: folded",                     length(b"Content-Length:\r\n 5"),                      BAD,         CLOSE),
    ("length: spelled with underscore",    length(b"Content_Length: 5"),                          BAD,         CLOSE),
    ("length: more than is sent",          b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 500\r\n\r\n" + POISON, {405, 408}, CLOSE),

    # -- Transfer-Encoding
    ("coding: unknown",                    coding(b"Transfer-Encoding: xchunked"),                {501},       CLOSE),
    ("coding: gzip",                       coding(b"Transfer-Encoding: gzip"),                    {501},       CLOSE),
    ("coding: identity",                   coding(b"Transfer-Encoding: identity"),                {400, 501},  CLOSE),
    ("coding: empty",                      coding(b"Transfer-Encoding:"),                         BAD,         CLOSE),
    ("coding: chunked twice in a list",    coding(b"Transfer-Encoding: chunked, chunked"),        BAD,         CLOSE),
    ("coding: chunked twice in two lines", coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), BAD, CLOSE),
    ("coding: chunked then another",       coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"), {400, 501}, CLOSE),
    ("coding: chunked not last",           coding(b"Transfer-Encoding: chunked, gzip"),           {400, 501},  CLOSE),
    ("coding: gzip then chunked",          coding(b"Transfer-Encoding: gzip, chunked"),           {400, 501},  CLOSE),
    ("coding: trailing comma",             coding(b"Transfer-Encoding: chunked,"),                BAD,         CLOSE),
    ("coding: leading comma",              coding(b"Transfer-Encoding: ,chunked"),                BAD,         CLOSE),
    ("coding: vertical tab",               coding(b"Transfer-Encoding: \x0bchunked"),             BAD,         CLOSE),
    ("coding: form feed",                  coding(b"Transfer-Encoding: \x0cchunked"),             BAD,         CLOSE),
    ("coding: NUL behind",                 coding(b"Transfer-Encoding: chunked\0"),               BAD,         CLOSE),
    ("coding: non-breaking space",         coding(b"Transfer-Encoding: \xa0chunked"),             {400, 501},  CLOSE),
    ("coding: quoted",                     coding(b'Transfer-Encoding: "chunked"'),               {400, 501},  CLOSE),
    ("coding: with a parameter",           coding(b"Transfer-Encoding: chunked;q=1"),             {400, 501},  CLOSE),
    ("coding: folded",                     coding(b"Transfer-Encoding:\r\n chunked"),             BAD,         CLOSE),
    ("coding: folded behind",              coding(b"Transfer-Encoding: chunked\r\n , identity"),  BAD,         CLOSE),
    ("coding: space before the colon",     coding(b"Transfer-Encoding : chunked"),                BAD,         CLOSE),
    ("coding: tab before the colon",       coding(b"Transfer-Encoding\t: chunked"),               BAD,         CLOSE),
    ("coding: bare CR before the name",    coding(b"X: y\rTransfer-Encoding: chunked"),           BAD,         CLOSE),
    ("coding: bare LF before the name",    coding(b"X: y\nTransfer-Encoding: chunked"),           BAD,         CLOSE),
    ("coding: spelled with underscore",    coding(b"Transfer_Encoding: chunked"),                 BAD,         CLOSE),
    ("coding: in HTTP/1.0",                coding(b"Transfer-Encoding: chunked", version=b"1.0"), BAD,         CLOSE),

    # -- chunks: a broken one must never let what follows through
    ("chunk: plus sign",                   chunks(b"+5\r\nhello\r\n0\r\n\r\n"),                   BROKEN_BODY, CLOSE),
    ("chunk: minus sign",                  chunks(b"-1\r\nhello\r\n0\r\n\r\n"),                   BROKEN_BODY, CLOSE),
    ("chunk: 0x",                          chunks(b"0x5\r\nhello\r\n0\r\n\r\n"),                  BROKEN_BODY, CLOSE),
    ("chunk: underscore",                  chunks(b"5_0\r\nhello\r\n0\r\n\r\n"),                  BROKEN_BODY, CLOSE),
    ("chunk: leading space",               chunks(b" 5\r\nhello\r\n0\r\n\r\n"),                   BROKEN_BODY, CLOSE),
    ("chunk: trailing space",              chunks(b"5 \r\nhello\r\n0\r\n\r\n"),                   BROKEN_BODY, CLOSE),
    ("chunk: no size",                     chunks(b"\r\nhello\r\n0\r\n\r\n"),                     BROKEN_BODY, CLOSE),
    ("chunk: size of 17 digits",           chunks(b"00000000000000005\r\nhello\r\n0\r\n\r\n"),    BROKEN_BODY, CLOSE),
    ("chunk: size over 64 bits",           chunks(b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),    BROKEN_BODY, CLOSE),
    ("chunk: size of 16 f",                chunks(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),     BROKEN_BODY, CLOSE),
    ("chunk: data longer than size",       chunks(b"3\r\nhello\r\n0\r\n\r\n"),                    BROKEN_BODY, CLOSE),
    ("chunk: no line end behind data",     chunks(b"5\r\nhello0\r\n\r\n"),                        BROKEN_BODY, CLOSE),
    ("chunk: bare LF behind size",         chunks(b"5\nhello\r\n0\r\n\r\n"),                      BROKEN_BODY, CLOSE),
    ("chunk: bare LF behind data",         chunks(b"5\r\nhello\n0\r\n\r\n"),                      BROKEN_BODY, CLOSE),
    ("chunk: bare CR behind size",         chunks(b"5\rhello\r\n0\r\n\r\n"),                      BROKEN_BODY, CLOSE),
    ("chunk: bare LF at the end",          chunks(b"5\r\nhello\r\n0\n\n"),                        BROKEN_BODY, CLOSE),
    ("chunk: LF in an extension",          chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),               BROKEN_BODY, CLOSE),
    ("chunk: CR in an extension",          chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),               BROKEN_BODY, CLOSE),
    ("chunk: NUL in an extension",         chunks(b"5;a\0b\r\nhello\r\n0\r\n\r\n"),               BROKEN_BODY, CLOSE),
    ("chunk: 64 KB of extension",          chunks(b"5;" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n"), BROKEN_BODY, CLOSE),
    ("chunk: an extension in each of 5,000", chunks(b"1;aaaaaaaaaaaaaaaa\r\nx\r\n" * 5000 + b"0\r\n\r\n"), BROKEN_BODY, EITHER),
    ("chunk: Content-Length as trailer",   chunks(b"0\r\nContent-Length: 5\r\n\r\n"),             BROKEN_BODY, CLOSE),
    ("chunk: coding as trailer",           chunks(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),    BROKEN_BODY, CLOSE),
    ("chunk: Host as trailer",             chunks(b"0\r\nHost: evil.test\r\n\r\n"),               BROKEN_BODY, CLOSE),
    ("chunk: Authorization as trailer",    chunks(b"0\r\nAuthorization: Basic eA==\r\n\r\n"),     BROKEN_BODY, CLOSE),
    ("chunk: folded trailer",              chunks(b"0\r\nX-A: b\r\n c\r\n\r\n"),                  BROKEN_BODY, CLOSE),
    ("chunk: trailer without a colon",     chunks(b"0\r\nnonsense\r\n\r\n"),                      BROKEN_BODY, CLOSE),
    ("chunk: 64 KB of trailers",           chunks(b"0\r\nX-A: " + b"a" * 65536 + b"\r\n\r\n"),    BROKEN_BODY, CLOSE),

    # -- a request in a body is a body
    ("body: of a GET",                     b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON, {200, 400}, EITHER),
    ("body: of a HEAD",                    b"HEAD /health HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON, {200, 400}, EITHER),
    ("body: of an OPTIONS",                b"OPTIONS /health HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON, {200, 204, 400}, EITHER),
    ("body: of a GET of nothing",          b"GET /none HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON, {400, 404}, EITHER),
    ("body: of a POST, early",             b"POST /health HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(POISON) + POISON, {400, 405}, EITHER),
    ("body: of a GET, in a chunk",         b"GET /health HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(POISON) + POISON + b"\r\n0\r\n\r\n", {200, 400}, EITHER),

    # -- Expect, Connection, Upgrade, and other oddities
    ("expect: unknown",                    field(b"Expect: 200-maybe"),                           {417},       CLOSE),
    ("expect: list",                       field(b"Expect: 100-continue, x"),                     {400, 417},  CLOSE),
    ("expect: without a body",             field(b"Expect: 100-continue"),                        {200},       OPEN),
    ("connection: close wins",             field(b"Connection: keep-alive, close"),               {200},       CLOSE),
    ("connection: names Host",             field(b"Connection: Host, Content-Length"),            {200, 400},  EITHER),
    ("upgrade: h2c",                       field(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"), {200}, EITHER),
    ("upgrade: websocket",                 field(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), {200}, EITHER),
    ("range: of 100,000 pieces cut short", field(b"Range: bytes=" + b"0-0," * 1000),              {200, 206, 416}, EITHER),
    ("if-none-match: garbage",             field(b'If-None-Match: "' + b"x" * 2000),              {200},       EITHER),
    ("accept-encoding: garbage",           field(b"Accept-Encoding: ;;;q=,,br;q=9e9,*;q=-1"),     {200},       EITHER),
    ("cookie: 7 KB",                       field(b"Cookie: a=" + b"b" * 7000),                    {200},       EITHER),

    # -- not HTTP/1.1 at all
    ("alien: HTTP/2 preface",              b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", {400, 505},  CLOSE),
    ("alien: TLS hello",                   b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)) * 2, BAD, CLOSE),
    ("alien: SSH",                         b"SSH-2.0-OpenSSH_9.2\r\n\r\n",                        BAD,         CLOSE),
    ("alien: SMTP",                        b"EHLO sanad.test\r\n\r\n",                            BAD,         CLOSE),
    ("alien: Redis",                       b"*1\r\n$4\r\nPING\r\n\r\n",                           BAD,         CLOSE),
    ("alien: PROXY protocol, text",        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + PROBE,       BAD,         CLOSE),
    ("alien: PROXY protocol, binary",      b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),     BAD,         CLOSE),
    ("alien: noughts",                     bytes(4096),                                           {400, 414},  CLOSE),
    ("alien: only line ends",              b"\r\n" * 1000,                                        BAD,         CLOSE),
    ("alien: random bytes",                bytes((i * 197 + 11) % 256 for i in range(8000)),      {400, 414},  CLOSE),
    ("alien: a JSON document",             b'{"jsonrpc": "2.0", "method": "stop"}\r\n\r\n',       BAD,         CLOSE),
]

# Requests that end too early: the client sends no more. Silence or a refusal are both right; a hang is not.
CUT_SHORT = [
    ("nothing at all",                     b""),
    ("half a request line",                b"GET /hea"),
    ("a request line",                     b"GET /health HTTP/1.1\r\n"),
    ("half a field",                       b"GET /health HTTP/1.1\r\nHost: san"),
    ("all but the empty line",             b"GET /health HTTP/1.1\r\n" + HOST),
    ("all but its LF",                     b"GET /health HTTP/1.1\r\n" + HOST + b"\r"),
    ("half a body",                        b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nhello"),
    ("half a chunk",                       b"POST /health HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
    ("chunks without the last one",        b"POST /health HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    ("the last chunk without its line end", b"POST /health HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
]

# Several requests in one packet: (name, bytes, the statuses in order, closed after the last).
PIPELINES = [
    ("good then bad",            line(b"GET /health HTTP/1.1") + field(b"X : y"),                             [200, 400], True),
    ("bad then good",            field(b"X : y") + line(b"GET /health HTTP/1.1"),                             [400], True),
    ("good, bad, good",          line(b"GET /health HTTP/1.1") + field(b"X : y") + PROBE,                     [200, 400], True),
    ("good, unknown, good",      line(b"GET /health HTTP/1.1") + target(b"/none") + PROBE,                    [200, 404, 200], True),
    ("close then good",          field(b"Connection: close") + PROBE,                                         [200], True),
    ("HTTP/1.0 then good",       b"GET /health HTTP/1.0\r\n\r\n" + PROBE,                                     [200], True),
    ("good then HTTP/2",         line(b"GET /health HTTP/1.1") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",         [200, 505], True),
    ("fifty good ones",          line(b"GET /health HTTP/1.1") * 49 + PROBE,                                  [200] * 50, True),
    ("three with line ends between", line(b"GET /health HTTP/1.1") + b"\r\n" + line(b"GET /health HTTP/1.1") + b"\r\n" + PROBE, [200] * 3, True),
]


def slug(row):
    return re.sub(r"[^a-z0-9]+", "-", row[0].lower()).strip("-")


def assert_serves(server):
    assert server.get("/health").status == 200


def assert_end(wire, answer):
    """Nothing but the end of the connection follows."""
    rest = wire.rest()
    assert rest == b"", f"after {answer.status} came {rest[:300]!r}"


def assert_next(wire, may_close):
    """The probe, sent behind, is the next thing answered, and the last."""
    wire.send(PROBE)
    try:
        after = wire.response()
    except Closed as end:
        assert may_close and not end.partial, f"closed: {end.partial[:300]!r}"
        return
    assert after.header("X-Request-Id") == "the-probe", f"something else was answered: {after}"
    assert after.status == 200
    assert_end(wire, after)


def test_the_table_is_whole():
    names = [row[0] for row in TABLE]
    assert len(set(names)) == len(names)
    assert len(TABLE) + len(CUT_SHORT) + len(PIPELINES) >= 120


@pytest.mark.parametrize("name,request_bytes,statuses,then", TABLE, ids=[slug(row) for row in TABLE])
def test_hostile(server, name, request_bytes, statuses, then):
    with server.connect() as wire:
        wire.send(request_bytes)
        answer = wire.response(head=request_bytes.startswith(b"HEAD "))
        assert answer.status in statuses, answer
        assert answer.header("X-Request-Id") != "smuggled", answer
        if answer.status >= 400 and answer.body:
            assert answer.header("Content-Type").startswith("application/problem+json"), answer
            assert answer.json()["status"] == answer.status
        if then == CLOSE:
            assert_end(wire, answer)
        else:
            assert_next(wire, may_close=then == EITHER)
    assert_serves(server)


@pytest.mark.parametrize("name,request_bytes", CUT_SHORT, ids=[slug(row) for row in CUT_SHORT])
def test_cut_short(server, name, request_bytes):
    answers = server.raw(request_bytes, half_close=True)
    assert len(answers) <= 1
    assert all(answer.status in (400, 405, 408) for answer in answers), answers
    assert_serves(server)


@pytest.mark.parametrize("name,request_bytes,statuses,closed", PIPELINES, ids=[slug(row) for row in PIPELINES])
def test_pipeline(server, name, request_bytes, statuses, closed):
    answers = server.raw(request_bytes)
    assert [answer.status for answer in answers] == statuses, answers
    assert_serves(server)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_request_in_small_pieces(server, size):
    """However the bytes arrive, they mean the same."""
    request = b"GET /health?x=%41 HTTP/1.1\r\n" + HOST + b"X-Request-Id: in-pieces\r\nConnection: close\r\n\r\n"
    with server.connect() as wire:
        for at in range(0, len(request), size):
            wire.send(request[at:at + size])
        answer = wire.response()
        assert (answer.status, answer.header("X-Request-Id")) == (200, "in-pieces")
        assert_end(wire, answer)


def test_refusal_arrives_though_the_client_goes_on_sending(server):
    """RFC 9112 §9.6: the server reads on for a while, or its answer would be lost to a reset."""
    with server.connect() as wire:
        wire.send(b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 20000000\r\n\r\n")
        wire.send(b"x" * 300000)
        answer = wire.response()
        assert answer.status == 413
        assert wire.closed()
    assert_serves(server)


def test_many_bad_connections_leave_nothing_behind(server):
    """Refused and abandoned connections give back what they held."""
    before = server.get("/metrics").json()
    for row in TABLE[:60]:
        with server.connect() as wire:
            wire.send(row[1])
    assert_serves(server)
    after = server.get("/metrics").json()
    for key in ("pool_size", "checked_out", "invalid"):
        assert after[key] == before[key]
    assert len(server.workers()) == int(server.settings["MAX_WORKERS"]), "a worker has died"
