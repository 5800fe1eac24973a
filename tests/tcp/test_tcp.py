"""The whole path on a server over TCP with scram and TLS, and what is refused there (attack case 21)."""
from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest
import sqlalchemy

from partitions.customers import customer
from partitions.errors import SettingsError
from resources.migrations import migrate
from resources.orchestrator import storage_url
from resources.postgres import READER, SUPERUSER, WRITER, Postgres
from resources.sandbox import sandbox
from resources.session_limits import session_limits
from resources.settings import PROJECT, Settings
from tests.tcp.conftest import Site
from tests.tcp.deliveries import LAND
from tests.tcp.server import DEBIAN, Authority, release_of, running

pytestmark = pytest.mark.tcp


def settings_of(site: Site, **changes: object) -> Settings:
    home = site.home
    made = Settings(environment=site.variables["STRATA_ENVIRONMENT"], home=home, customers=PROJECT / "customers", lake_root=str(home / "lake" / "dev"),
                    dsn=site.variables["STRATA_DSN"], runtime=home / "run")
    return replace(made, **changes)


@pytest.fixture(scope="module")
def published(site: Site) -> Site:
    """Server, roles, migrations and customers; each by its command."""
    for words in (["up"], ["customers", "apply"]):
        done = site.strata(*words)
        assert done.returncode == 0, done.stderr
    return site


def test_a_customer_goes_from_deliveries_to_the_figures_that_the_readme_shows(published: Site) -> None:
    landed = subprocess.run([sys.executable, "-c", LAND], cwd=PROJECT, env=published.variables, capture_output=True, text=True, timeout=120)
    assert landed.returncode == 0, landed.stderr
    done = published.strata("launch", "acme")
    assert done.returncode == 0, done.stdout + done.stderr
    traced = published.strata("trace", "acme", "total_location", "--limit", "1")
    shown = re.search(r"published cells say ([0-9.]+)", (PROJECT / "README.md").read_text())[1]
    assert traced.returncode == 0, traced.stderr
    assert f"published cells say {shown}" in traced.stdout
    assert published.strata("verify", "acme").returncode == 0
    assert published.strata("isolation", "acme").returncode == 0


def test_every_way_in_asks_for_the_server_certificate(published: Site, stranger: Authority, tmp_path: Path) -> None:
    """The same addresses work with the right authority (the test before) and not with a stranger's: nothing falls back to an unverified connection."""
    doubtful = Postgres(settings_of(published, dsn=published.server.dsn(sslrootcert=str(stranger.file))))
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        doubtful.connect(WRITER)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        migrate(doubtful)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="certificate verify failed"):
        sqlalchemy.create_engine(storage_url(doubtful)).connect()
    acme = customer("acme", PROJECT / "customers")
    with pytest.raises(duckdb.Error, match="certificate verify failed"), sandbox(doubtful.settings, doubtful, acme, session_limits(acme), tmp_path):
        pass


def test_a_connection_without_encryption_is_refused(published: Site) -> None:
    plain = Postgres(settings_of(published, dsn=published.server.dsn(sslmode="disable", sslrootcert=None)))
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        plain.connect(READER)


def test_a_name_that_is_not_in_the_certificate_is_refused(published: Site) -> None:
    elsewhere = Postgres(settings_of(published, dsn=published.server.dsn(host="production.example.org", hostaddr="127.0.0.1")))
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        elsewhere.connect(READER)


def test_a_wrong_password_is_refused_and_appears_nowhere(published: Site) -> None:
    done = published.strata("up", STRATA_DSN=published.server.dsn(password="CANARY-no-such-password"))
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr
    assert "CANARY" not in done.stdout + done.stderr


def test_logins_of_one_environment_are_refused_in_the_other(published: Site, other_site: Site) -> None:
    assert other_site.strata("up").returncode == 0
    for ours, theirs in ((other_site, published), (published, other_site)):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(theirs.server.dsn(password=ours.server.password), dbname="postgres")
        for role in (READER, WRITER):
            mixed = Postgres(settings_of(ours, dsn=theirs.server.dsn(user=None, password=None)))
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                mixed.connect(role, "postgres")


def test_a_service_without_the_administrators_login_works_and_cannot_administer(published: Site) -> None:
    service = Postgres(settings_of(published, dsn=published.server.dsn(user=None, password=None)))
    with service.connect(READER, customer="acme") as connection:
        assert connection.execute("SELECT count(*) FROM greenit_platinum.kpi_monthly_live").fetchone()[0] > 0
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()[0]
    with pytest.raises(SettingsError, match="names no user"):
        service.connect(SUPERUSER)
    with pytest.raises(SettingsError, match="names no user"):
        service.up()


@pytest.mark.skipif(not (DEBIAN / "15" / "bin" / "postgres").exists(), reason="Debian's PostgreSQL 15 is not installed")
def test_a_server_that_is_too_old_is_refused_with_the_reason(authority: Authority, site: Site) -> None:
    old = DEBIAN / "15" / "bin"
    assert release_of(old).startswith("15.")
    with tempfile.TemporaryDirectory(prefix="strata-tcp-", ignore_cleanup_errors=True) as folder, running(Path(folder), authority, old) as server:
        done = site.strata("up", STRATA_DSN=server.dsn(), STRATA_HOME=f"{folder}/home")
    assert done.returncode == 1
    assert "too old" in done.stderr, done.stderr
