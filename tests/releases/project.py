"""A copy of this project in a git repository of its own, with an installation that it works on by its own commands.

What belongs here: what tests of releases need to change a checkout and run it. What does not: expectations.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from psycopg.rows import dict_row

from partitions.customers import customer
from platform_assets.landing import land_files
from resources.postgres import READER, WRITER, Postgres, lake_reader_role
from resources.settings import PROJECT, Settings
from tests.installation import billing, inventory

IDENTITY = ("-c", "user.name=release-engineer", "-c", "user.email=release@example.org")


@dataclass
class Project:
    """`root` is the checkout; prod and staging have a home and a server each below `folder`, and staging's bronze is prod's."""

    root: Path
    folder: Path

    def home(self, environment: str) -> Path:
        return self.folder / environment

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *IDENTITY, "-C", str(self.root), *arguments], capture_output=True, text=True, check=True, timeout=120)
        return done.stdout.strip()

    def commit(self, title: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", title)
        return self.git("rev-parse", "HEAD")

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def environment(self, name: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("STRATA_", "DAGSTER_")) and key != "PYTHONPATH"}
        lent = {"STRATA_SOURCE_DSN": f"host={runtime_of(self.home('prod'))}", "STRATA_SOURCE_LAKE_ROOT": str(self.home("prod") / "lake" / "prod")}
        return {**kept, "STRATA_HOME": str(self.home(name)), "STRATA_ENVIRONMENT": name, "STRATA_CUSTOMERS": str(self.root / "customers"),
                **(lent if name == "staging" else {})}

    def hand_over(self, customer: str) -> None:
        """The one secret that staging gets of prod."""
        secrets = self.home("staging") / "secrets"
        secrets.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.home("prod") / "secrets" / lake_reader_role(customer), secrets)

    def strata(self, environment: str, *arguments: str, code: int | None = 0) -> str:
        """One command in the checkout, in an environment; its output. `code`: how it must end, None: anyhow."""
        done = subprocess.run([sys.executable, "-m", "cli.main", *arguments], cwd=self.root, env=self.environment(environment), capture_output=True, text=True,
                              timeout=900, check=False)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def declare(self, name: str, country: str, **more: object) -> None:
        content = {"name": f"{name} (test)", "status": "active", "country": country, "currency": "EUR", "time_zone": "Europe/Paris", "reporting": {"months": 2},
                   "steward": {"name": "Data steward", "email": "steward@example.org"},
                   "sources": {"equipment_inventory": {"format": "strata_1"}, "cloud_billing": {"format": "focus_1_0", "accepted_owners": [f"account-{name}"]}}, **more}
        (self.root / "customers" / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def deliver(self, name: str, country: str) -> None:
        devices = [{"equipment_id": f"e{i}", "quantity": i + 1, "item_type": kind, "country": country, "energy_kwh_per_year": 50 * (i + 1)}
                   for i, kind in enumerate(("laptop", "monitor", "smartphone"))]
        files = {"equipment_inventory": inventory(self.folder / f"{name}.csv", *devices), "cloud_billing": billing(self.folder / f"{name}-bill.csv", f"account-{name}", {})}
        postgres = self.postgres("prod")
        for source, path in files.items():
            with postgres.connect(WRITER, customer=name) as connection:
                land_files(connection, postgres.settings.landing_root, customer(name, self.root / "customers"), source, [path], "2024-09", None)

    def postgres(self, environment: str) -> Postgres:
        home = self.home(environment)
        return Postgres(Settings(environment=environment, home=home, customers=self.root / "customers", lake_root=str(home / "lake" / environment), dsn=None,
                                 runtime=runtime_of(home)))

    def query(self, environment: str, customer: str, statement: str, *values: object, role: str = READER) -> list[dict]:
        with self.postgres(environment).connect(role, customer=customer) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, values or None).fetchall()

    def metrics(self, environment: str, customer: str) -> dict[tuple[str, str], float]:
        rows = self.query(environment, customer, "SELECT metric_id, period, value FROM greenit_platinum.metric_monthly_live")
        return {(row["metric_id"], f"{row['period']:%Y-%m}"): row["value"] for row in rows}

    def live_hashes(self, environment: str, customer: str) -> dict[str, str]:
        """Table -> content hash of its live version."""
        rows = self.query(environment, customer, "SELECT table_name, content_hash FROM platform.live_version JOIN platform.table_version "
                                                 "USING (customer_id, table_name, version)", role=WRITER)
        return {row["table_name"]: row["content_hash"] for row in rows}


def runtime_of(home: Path) -> Path:
    from resources.settings import _runtime

    return _runtime(home)


@contextmanager
def project_in(folder: Path) -> Iterator[Project]:
    """The project as it lies here, what is not committed included, as the first commit of a repository; its server is stopped afterwards."""
    root = folder / "project"
    listed = subprocess.run(["git", "-C", str(PROJECT), "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = PROJECT / name, root / name
        if source.is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for path in (root / "customers").iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    made = Project(root, folder)
    made.git("init", "-q", "-b", "main")
    try:
        yield made
    finally:
        for environment in ("staging", "prod"):
            made.postgres(environment).down()
            shutil.rmtree(runtime_of(made.home(environment)), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


