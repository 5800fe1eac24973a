"""Everything a run uses, imported and compiled before runs are forked from this process. Opens no connection and starts no thread.

What belongs here: importing. Adding a library that a run imports late: name it here, or each run pays for it.
"""
import gc

import dagster_duckdb  # noqa: F401
import pandas  # noqa: F401
import psycopg  # noqa: F401
import psycopg2  # noqa: F401
import pyarrow.parquet  # noqa: F401

from platform_assets import expectations, greenit  # noqa: F401
from platform_assets.compilation import express_all
from platform_assets.greenit.definitions import defs
from resources import accounting, corrections, deliveries, landing, orchestrator, parameter_files  # noqa: F401
from resources.expressions import sql_of
from resources.lineage import leaves_of
from resources.recipes import digest_of

for spec, expression in express_all(greenit).values():
    dialect = "postgres" if spec.layer == "platinum" else "duckdb"
    sql_of(expression, dialect)
    digest_of(expression.op(), dialect)
    leaves_of(expression.op())
defs.resolve_job_def("greenit_customer")
gc.freeze()  # collections in a run would else copy every page of what is shared
gc.set_threshold(20_000, 20, 20)  # a run makes little garbage in circles: looking for it every 700 objects took 4 % of it
