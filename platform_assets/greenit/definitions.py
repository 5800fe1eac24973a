"""The code location of the domain Green IT. Nothing else builds Definitions."""
from platform_assets import greenit
from platform_assets.composition import definitions_of

defs = definitions_of(greenit)
