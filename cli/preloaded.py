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
from platform_assets.compilation import compile_all
from platform_assets.greenit.definitions import defs
from resources import accounting, corrections, deliveries, landing, orchestrator, parameter_files  # noqa: F401

compile_all(greenit)
defs.resolve_job_def("greenit_customer")
gc.freeze()  # collections in a run would else copy every page of what is shared
