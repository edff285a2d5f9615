# SPDX-License-Identifier: MIT
"""A certificate authority of the tests' own, made with openssl.

    authority = Authority(folder)
    key, certificate = authority.sign("server", "DNS:localhost", "IP:127.0.0.1")
"""
import subprocess
from pathlib import Path

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*arguments, **options):
    done = subprocess.run(["/usr/bin/openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          **options)
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"


class Authority:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key, self.certificate = self.folder / "ca.key", self.folder / "ca.pem"
        openssl("req", "-x509", *NEW_KEY, "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=an authority",
                "-days", "1")

    def sign(self, name, *alternatives, days=1):
        """Key and certificate of a server with those names; expired when `days` are negative."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        openssl("req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=a server")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", days, "-extfile", "/dev/stdin", "-out", certificate,
                input="subjectAltName=" + ",".join(alternatives))
        return key, certificate
