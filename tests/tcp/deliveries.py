"""acme's sample deliveries, landed by one process of the installation under test: a script, since that is another interpreter or a container."""

LAND = """
import tempfile
from pathlib import Path
from partitions.customers import load_customers
from platform_assets.landing import land_files
from resources.postgres import WRITER, Postgres
from resources.settings import settings
from samples.generate import generate
postgres, declared = Postgres(settings()), load_customers(settings().customers)
with tempfile.TemporaryDirectory() as folder:
    for call in generate(Path(folder)):
        if call.customer == "acme":
            with postgres.connect(WRITER, customer="acme") as connection:
                land_files(connection, settings().landing_root, declared["acme"], call.source, [Path(folder, name) for name in call.files], call.period, call.sequence)
"""
