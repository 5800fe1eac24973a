"""What keeps customers apart in PostgreSQL, as questions to its catalog: every role, table, view, function, key and grant that there is.

What belongs here: what must hold, in SQL that gives a row for each thing looked at, and the refusal to work where it does not. What does not:
what SQL can do from a session (probes.py), who asks (session.py, platform_assets/isolation.py). A new table or role needs nothing here: it is
found. What is allowed beside the rule stands in the rule, by name.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg

from partitions.errors import IsolationError
from resources.environment_mark import refuse_other_environment
from resources.postgres import BACKUP, LOADER, MIGRATOR, ORCHESTRATOR, READER, WRITER

Place = Literal["warehouse", "lake", "server"]
SAFE_RELEASES = {16: 10, 17: 6}  # CVE-2025-8713: older ones show rows of others in planner statistics; before 16 a grant knows no SET FALSE
OLDEST, SAFE_FROM = 16, 18
CUSTOMER_OF_SESSION = "69cc3110b1831b88dcf3ea6b63784f20"  # md5 of the body of platform.customer(), which every policy asks
OWN = "(customer_id = ( SELECT platform.customer() AS customer))"
MIGRATION_TOOL = """('flyway_schema_history', 'flyway_schema_history_pk', 'flyway_schema_history_s_idx',
    '_yoyo_log', '_yoyo_migration', '_yoyo_version', 'yoyo_lock')"""  # yoyo's stand where its releases began
ROLE_OF_OURS = "'^(strata|lake|cust|read)_'"

OURS = f"""(SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.reloptions, c.relrowsecurity, c.relforcerowsecurity, n.nspname,
        n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^(pg_|information_schema$)' AND NOT (n.nspname = 'public' AND c.relname IN {MIGRATION_TOOL})
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'))"""
TABLES = f"SELECT o.* FROM {OURS} o WHERE o.relkind IN ('r', 'p')"

ROLES = f"""SELECT r.rolname, nullif(concat_ws(', ', CASE WHEN r.rolsuper THEN 'is a superuser' END, CASE WHEN r.rolcreaterole THEN 'may create roles' END,
        CASE WHEN r.rolcreatedb THEN 'may create databases' END, CASE WHEN r.rolreplication THEN 'may replicate' END,
        CASE WHEN r.rolbypassrls AND r.rolname NOT IN ('{BACKUP}', '{LOADER}') THEN 'by-passes row-level security' END,
        CASE WHEN r.rolcanlogin AND r.rolname = '{LOADER}' THEN 'may log in' END), '')
    FROM pg_roles r WHERE r.rolname ~ {ROLE_OF_OURS}"""
MEMBERSHIPS = f"""SELECT m.rolname || ' in ' || g.rolname, CASE WHEN NOT (
        (m.rolname ~ '^lake_' AND g.rolname = '{WRITER}' AND a.inherit_option AND NOT a.set_option AND NOT a.admin_option)
        OR (m.rolname ~ '^lake_' AND g.rolname = '{LOADER}' AND NOT a.inherit_option AND a.set_option AND NOT a.admin_option)
        OR (m.rolname ~ '^cust_' AND g.rolname = '{READER}' AND a.inherit_option AND NOT a.set_option AND NOT a.admin_option)
        OR (m.rolname = '{BACKUP}' AND g.rolname = 'pg_read_all_data' AND NOT a.admin_option)
        OR (m.rolname !~ {ROLE_OF_OURS} AND (m.rolsuper OR m.rolcreaterole))) THEN 'is a membership that nothing needs' END
    FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
    WHERE m.rolname ~ {ROLE_OF_OURS} OR g.rolname ~ {ROLE_OF_OURS}"""
OWNERS = f"""SELECT name, CASE WHEN relowner <> '{MIGRATOR}'::regrole THEN 'belongs to ' || relowner::regrole::text END FROM {OURS} o
    UNION ALL SELECT n.nspname || '.' || p.proname || '()', CASE WHEN p.proowner <> '{MIGRATOR}'::regrole THEN 'belongs to ' || p.proowner::regrole::text END
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname !~ '^(pg_|information_schema$|public$)'
    UNION ALL SELECT nspname, CASE WHEN nspowner <> '{MIGRATOR}'::regrole THEN 'belongs to ' || nspowner::regrole::text END FROM pg_namespace
    WHERE nspname !~ '^(pg_|information_schema$|public$)'"""
ROW_SECURITY = f"""SELECT t.name, nullif(concat_ws(', ', CASE WHEN NOT t.relrowsecurity THEN 'row-level security is off' END,
        CASE WHEN NOT t.relforcerowsecurity THEN 'it is not forced on the owner' END,
        CASE WHEN a.attnotnull IS NOT TRUE THEN 'no customer_id that is never NULL' END), '')
    FROM ({TABLES}) t LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
    UNION ALL SELECT name, 'is a foreign table, which knows no row-level security' FROM {OURS} o WHERE relkind = 'f'"""
POLICIES = f"""SELECT t.name, CASE WHEN p.own IS NOT TRUE THEN 'has no policy own_customer that compares customer_id with the session''s customer' END
    FROM ({TABLES}) t LEFT JOIN LATERAL (SELECT bool_or(polpermissive AND polcmd = '*' AND polroles = '{{0}}' AND pg_get_expr(polqual, polrelid) = '{OWN}'
        AND pg_get_expr(polwithcheck, polrelid) = '{OWN}') AS own FROM pg_policy WHERE polrelid = t.oid AND polname = 'own_customer') p ON true
    UNION ALL SELECT t.name || ' ' || p.polname, CASE WHEN NOT (p.polname = 'own_customer' OR p.polroles = ARRAY['{MIGRATOR}'::regrole::oid])
        THEN 'is a second permissive policy: what it allows is added to what own_customer allows' END
    FROM ({TABLES}) t JOIN pg_policy p ON p.polrelid = t.oid AND p.polpermissive"""
VIEWS = f"""SELECT name, CASE WHEN relkind = 'm' THEN 'is materialized: row-level security cannot apply to it'
        WHEN NOT coalesce('security_invoker=true' = ANY(reloptions), false) THEN 'reads as its owner: security_invoker is not set' END
    FROM {OURS} o WHERE relkind IN ('v', 'm')"""
FUNCTIONS = f"""SELECT n.nspname || '.' || p.proname || '()', CASE WHEN p.prosecdef THEN 'runs as its owner (SECURITY DEFINER)'
        WHEN n.nspname = 'platform' AND p.proname = 'customer' AND md5(p.prosrc) <> '{CUSTOMER_OF_SESSION}' THEN 'is not the one of the migrations'
        WHEN NOT (n.nspname = 'platform' AND p.proname = 'customer' OR p.prorettype = 'trigger'::regtype) AND EXISTS (
            SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0) THEN 'may be called by PUBLIC' END
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname !~ '^(pg_|information_schema$)'
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')"""
KEYS = f"""SELECT i.indexrelid::regclass::text,
        CASE WHEN a.attname IS DISTINCT FROM 'customer_id' THEN 'is unique across customers: customer_id does not come first' END
    FROM ({TABLES}) t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]"""
GRANTS = f"""SELECT g.name || ' to ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, CASE WHEN NOT CASE g.grantee
        WHEN '{WRITER}'::regrole THEN g.privileges <@ ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'USAGE']
        WHEN '{READER}'::regrole THEN g.privileges = ARRAY['SELECT'] AND (g.nspname ~ '_platinum$' OR g.name = 'platform.live_version')
        WHEN '{LOADER}'::regrole THEN g.privileges = ARRAY['INSERT'] AND g.nspname ~ '_gold$' AND EXISTS (SELECT FROM pg_constraint k
            WHERE k.conrelid = g.oid AND k.conname = 'loads_own_customer' AND k.convalidated)
        ELSE false END THEN 'may ' || array_to_string(g.privileges, ', ') END
    FROM (SELECT o.oid, o.name, o.nspname, x.grantee, array_agg(DISTINCT x.privilege_type) AS privileges FROM {OURS} o CROSS JOIN LATERAL (
            SELECT * FROM aclexplode(o.relacl)
            UNION ALL SELECT d.* FROM pg_attribute a, aclexplode(a.attacl) d WHERE a.attrelid = o.oid AND a.attacl IS NOT NULL) x
        WHERE x.grantee <> o.relowner GROUP BY 1, 2, 3, 4) g
    UNION ALL SELECT 'schema ' || n.nspname || ' to ' || CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END,
        CASE WHEN x.grantee = 0 OR x.privilege_type <> 'USAGE' OR x.grantee NOT IN ('{WRITER}'::regrole, '{READER}'::regrole, '{LOADER}'::regrole)
            THEN 'may ' || x.privilege_type END
    FROM pg_namespace n, aclexplode(n.nspacl) x WHERE n.nspname !~ '^(pg_|information_schema$)' AND x.grantee <> n.nspowner
    UNION ALL SELECT 'default of ' || d.defaclrole::regrole::text, 'hands out privileges on tables to come' FROM pg_default_acl d
    UNION ALL SELECT 'database ' || datname || ' to PUBLIC', 'may ' || x.privilege_type
    FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) x
    WHERE x.grantee = 0 AND datdba IN ('{MIGRATOR}'::regrole, '{ORCHESTRATOR}'::regrole)"""
CATALOGS = """SELECT n.nspname, nullif(concat_ws(', ', CASE WHEN n.nspowner::regrole::text <> n.nspname THEN 'belongs to ' || n.nspowner::regrole::text END,
        (SELECT 'is open to ' || string_agg(DISTINCT coalesce(nullif(x.grantee, 0)::regrole::text, 'PUBLIC'), ', ')
         FROM aclexplode(n.nspacl) x WHERE x.grantee <> n.nspowner AND NOT (x.grantee = reader.id AND x.privilege_type = 'USAGE')),
        (SELECT 'has tables of ' || string_agg(DISTINCT c.relowner::regrole::text, ', ')
         FROM pg_class c WHERE c.relnamespace = n.oid AND c.relowner <> n.nspowner),
        (SELECT 'has tables open to ' || string_agg(DISTINCT coalesce(nullif(x.grantee, 0)::regrole::text, 'PUBLIC'), ', ')
         FROM pg_class c, aclexplode(c.relacl) x WHERE c.relnamespace = n.oid AND x.grantee <> c.relowner
            AND NOT (x.grantee = reader.id AND x.privilege_type = 'SELECT'))), '')
    FROM pg_namespace n, LATERAL (SELECT coalesce(to_regrole('read_' || substr(n.nspname, 6))::oid, n.nspowner) AS id) reader WHERE n.nspname ~ '^lake_'
    UNION ALL SELECT 'schema public', (SELECT 'is open to PUBLIC' WHERE EXISTS (SELECT FROM aclexplode(n.nspacl) x WHERE x.grantee = 0))
    FROM pg_namespace n WHERE n.nspname = 'public'
    UNION ALL SELECT 'database ' || datname, (SELECT 'is open to PUBLIC' WHERE EXISTS (
        SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) x WHERE x.grantee = 0)) FROM pg_database WHERE datname = current_database()"""
LOGINS = f"""SELECT rolname, CASE WHEN rolpassword IS NULL OR rolpassword !~ '^SCRAM-SHA-256[$]' THEN 'has no password, or one that is not kept as scram' END
    FROM pg_authid WHERE rolcanlogin AND rolname ~ {ROLE_OF_OURS}"""
RULES = """SELECT 'line ' || line_number, CASE WHEN error IS NOT NULL THEN 'cannot be read: ' || error
        WHEN auth_method IN ('trust', 'password') THEN 'lets ' || array_to_string(user_name, ', ') || ' in by ' || auth_method END FROM pg_hba_file_rules"""


@dataclass(frozen=True)
class Safeguard:
    """One rule. `asks`: SQL with a row (subject, problem) for each thing looked at; the problem is NULL where the rule holds. `cases`: the
    attacks of the catalogue that it stands against."""

    name: str
    place: Place
    cases: tuple[int, ...]
    says: str
    asks: str
    fix: str


SAFEGUARDS = (
    Safeguard("roles", "warehouse", (8,), "No role of ours is a superuser, creates roles, or by-passes row-level security but backup and loader.", ROLES,
              "ALTER ROLE … NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS (of the loader: NOLOGIN)"),
    Safeguard("memberships", "warehouse", (8, 16),
              "A customer's role has the writer's or the reader's privileges and becomes the loader alone; nobody else is a member.", MEMBERSHIPS,
              "REVOKE the membership; `strata up` and `strata customers apply` make those that are needed"),
    Safeguard("owners", "warehouse", (8,), "Everything in the warehouse belongs to the migrator.", OWNERS, f"ALTER … OWNER TO {MIGRATOR}"),
    Safeguard("row_security", "warehouse", (1, 9, 12), "Every table has a customer_id, and row-level security enabled and forced.", ROW_SECURITY,
              "CALL platform.protect('<table>') in a migration"),
    Safeguard("policies", "warehouse", (11, 13), "Every table has the policy own_customer, and no other permissive one but the migrator's.", POLICIES,
              "DROP POLICY, or CALL platform.protect('<table>') in a migration"),
    Safeguard("views", "warehouse", (10,), "Every view reads as its reader, and nothing is materialized.", VIEWS,
              "CREATE VIEW … WITH (security_invoker = true)"),
    Safeguard("functions", "warehouse", (10, 15), "No function runs as its owner, and PUBLIC calls none but platform.customer().", FUNCTIONS,
              "ALTER FUNCTION … SECURITY INVOKER; REVOKE ALL ON FUNCTION … FROM PUBLIC"),
    Safeguard("unique_keys", "warehouse", (14,), "Every unique key begins with customer_id, so that a violation tells nothing of others.", KEYS,
              "make the key (customer_id, …)"),
    Safeguard("grants", "warehouse", (12, 15, 20),
              "Nobody has a privilege on a table, schema or database beyond what its purpose needs; PUBLIC has none.", GRANTS, "REVOKE it"),
    Safeguard("lake_catalogs", "lake", (33,), "Every lake catalog belongs to its customer's role and is open to its own reader alone, which reads.", CATALOGS,
              "ALTER SCHEMA … OWNER TO the role of the same name; REVOKE the privilege"),
    Safeguard("passwords", "server", (21,), "Every login of ours has a password, kept as a scram verifier.", LOGINS,
              "drop the role, then `strata up` or `strata customers apply` makes it with a password"),
    Safeguard("authentication", "server", (21,), "The server lets nobody in without a password, and takes none in clear text.", RULES,
              "write scram-sha-256 in pg_hba.conf, then reload"),
)


@dataclass(frozen=True)
class Looked:
    """One thing that a safeguard looked at; `problem` is None where the rule holds."""

    safeguard: Safeguard
    subject: str
    problem: str | None


def look(connection: psycopg.Connection, *places: Place, only_problems: bool = False) -> list[Looked]:
    """Ask the safeguards of some places in one query. `warehouse` and `lake` mean the connection's database and any role may ask; `server`
    takes a superuser, and others get no answer about it."""
    is_superuser = connection.info.parameter_status("is_superuser") == "on"
    asked = [guard for guard in SAFEGUARDS if guard.place in places and (guard.place != "server" or is_superuser)]
    if not asked:
        return []
    parts = [f"SELECT {number}, subject, problem FROM ({guard.asks}) q (subject, problem)" for number, guard in enumerate(asked)]
    where = " WHERE problem IS NOT NULL" if only_problems else ""
    rows = connection.execute(f"SELECT * FROM ({' UNION ALL '.join(parts)}) looked (number, subject, problem){where} ORDER BY 1, 2").fetchall()
    return [Looked(asked[number], subject, problem) for number, subject, problem in rows]


def unsafe_release(version: int) -> str | None:
    """What is wrong with a server's version (such as 180004), or None."""
    major, minor = divmod(version, 10_000)
    if major >= SAFE_FROM or minor >= SAFE_RELEASES.get(major, 10_000):
        return None
    return "is too old for memberships without SET" if major < OLDEST else "shows rows of others in planner statistics (CVE-2025-8713)"


def refuse_unsafe(connection: psycopg.Connection, *places: Place) -> None:
    """Raises IsolationError naming what would let one customer reach another, all of it, the first with its fix."""
    if problem := unsafe_release(connection.info.server_version):
        release = ".".join(map(str, divmod(connection.info.server_version, 10_000)))
        raise IsolationError(f"PostgreSQL {release} {problem}", fix=f"run {SAFE_FROM} or newer, or {_releases()}")
    if found := look(connection, *(places or ("warehouse",)), only_problems=True):
        raise IsolationError(f"{_told(found[:1])}. {found[0].safeguard.says}{_more(found[1:])}", fix=f"{found[0].safeguard.fix}; `strata isolation` shows all")


_looked_at: set[tuple[str, int, str]] = set()


def refuse_unsafe_once(connection: psycopg.Connection, environment: str) -> None:
    """The same for the warehouse, and whether it is this environment's, once per process and database: what opens an installation for work asks."""
    info = connection.info
    place = (info.host, info.port, info.dbname)
    if place not in _looked_at:
        refuse_other_environment(connection, environment)
        refuse_unsafe(connection)
        _looked_at.add(place)


def _releases() -> str:
    return ", ".join(f"{major}.{minor}" for major, minor in sorted(SAFE_RELEASES.items(), reverse=True))


def _told(found: Sequence[Looked]) -> str:
    return "; ".join(f"{one.safeguard.name}: {one.subject} {one.problem}" for one in found)


def _more(found: Sequence[Looked]) -> str:
    return f" Also: {_told(found[:5])}{' …' if len(found) > 5 else ''}" if found else ""
