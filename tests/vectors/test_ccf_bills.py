"""Seven AWS bills that Cloud Carbon Footprint computes end to end, line by line through our formulas; what it computes otherwise is refused by name.

What each meter is stands here by hand, because the figures are about formulas; that lines are recognised is tested where bills are read.
"""

import calendar
from collections import defaultdict
from datetime import date

import ibis
import pytest

from platform_assets.greenit.gold.cloud_meters import meter_amount, meter_kwh
from platform_assets.greenit.gold.compute_power import average_kwh
from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.service_activity import service_kwh
from platform_assets.greenit.gold.use_phase import electricity_kwh, instance_kwh_per_hour, watts_at
from tests.vectors.files import REFERENCE, VECTORS, read
from tests.vectors.tables import figures, one

INPUTS, EXPECTED = read(VECTORS / "ccf_cur_inputs.csv"), read(VECTORS / "ccf_cur_expected.csv")
GB_PER_TB, BYTES_PER_TB = 1000.0, 2.0**40
STORED = {  # end of the usage type -> medium, copies (by the name of the peer's constant), whether the amount is in bytes
    "EBS:VolumeUsage.gp2": ("SSD", "EC2_EBS_VOLUME", False), "EBS:SnapshotUsage": ("HDD", "EC2_EBS_SNAPSHOT", False),
    "TimedBackupStorage-ByteHrs": ("HDD", "DYNAMO_DB", True), "BytesDeleted-STANDARD": ("HDD", "DEFAULT", False), "BytesDeleted-SIA": ("HDD", "DEFAULT", False),
    "TimedStorage-ByteHrs": ("HDD", "S3", True), "TimedStorage-GDA-Staging": ("HDD", "S3", False),
    "TimedStorage-ZIA-ByteHrs": ("HDD", "S3_ONE_ZONE_REDUCED_REDUNDANCY", True), "TimedStorage-RRS-ByteHrs": ("HDD", "S3_ONE_ZONE_REDUCED_REDUNDANCY", True),
}  # fmt: skip
VCPU_HOURS = {"Lambda-GB-Second": (1 / 3600, "AVG"), "Lambda-GB-Second-ARM": (1 / 3600, "AWS_GRAVITON_2"), "Crawler-DPU-Hour": (4.0, "AVG"), "BoxUsage:t2.micro": (1.0, "AVG")}
MOVED = ("AWS-Out-Bytes",)
REFUSED = {
    ("EC2EBSLambda", "AmazonEC2", "us-east-1", "2020-11-02"): "kWh of the bill hold the server's embodied emissions divided by the grid factor: no energy",
    ("EC2EBSLambda", "AmazonEC2", "us-east-2", "2020-11-02"): "kWh of the bill hold the server's embodied emissions divided by the grid factor: no energy",
    ("EC2EBSLambda", "AmazonEC2", "us-east-2", "2020-11-03"): "kWh of the bill hold the server's embodied emissions divided by the grid factor: no energy",
    ("UnknownInstanceType", "AmazonEC2", "us-east-2", "2020-10-30"): "the same, with an instance type taken for the mean of all",
    ("NetworkingGlueECSDynamoDB", "AmazonEC2", "us-east-1", "2020-10-30"): "hours of a gateway of unknown size as 0: unknown is not 0",
    ("Networking", "AmazonCloudWatch", "us-east-1", "2021-01-01"): "kWh by the money of other lines: what has only a cost goes by spend",
}
ROWS = {(row["case_id"], row["service"], row["region"], row["timestamp"]): row for row in EXPECTED}


@pytest.fixture(scope="module")
def constants():
    return {(row["group"], row["key"]): float(row["value"]) for row in read(REFERENCE / "cloud_coefficients_ccf.csv") if row["provider"] == "aws" and row["group"] != "region_nerc_zone"}


def known_kwh(line, constants):
    """IT kWh of one line, None where its meter says nothing of energy."""
    amount, meter = float(line["usageAmount"]), line["usageType"]
    for end, (medium, copies, in_bytes) in STORED.items():
        if meter.endswith(end):
            day = date.fromisoformat(line["timestamp"])
            hours = calendar.monthrange(day.year, day.month)[1] * 24
            row = one(amount=amount, hours=hours, wh=constants["constant", f"{medium}COEFFICIENT"], copies=constants["replication_factor", copies], hour=1)
            stored = meter_amount(row.amount, 1.0 / (BYTES_PER_TB if in_bytes else GB_PER_TB), row.hours, ibis.literal(not in_bytes))
            return figures(row, kwh=meter_kwh(stored, row.copies, average_kwh(row.wh, row.hour)))["kwh"]
    for end, (vcpu, processor) in VCPU_HOURS.items():
        if meter.endswith(end):
            ends = [constants["constant", f"{bound}_WATTS_AVG"] if processor == "AVG" else constants[f"{bound.lower()}_watts_by_compute_processor", processor] for bound in ("MIN", "MAX")]
            row = one(vcpu=vcpu, hours=amount, low=ends[0], high=ends[1], load=0.5, none=0)
            return figures(row, kwh=service_kwh(row.hours, instance_kwh_per_hour(row.vcpu, watts_at(row.load, row.low, row.high), row.none, row.none)))["kwh"]
    if meter.endswith(MOVED):
        row = one(gb=amount, kwh_per_gb=constants["constant", "NETWORKING_COEFFICIENT"])
        return figures(row, kwh=service_kwh(row.gb, row.kwh_per_gb))["kwh"]
    return None


@pytest.fixture(scope="module")
def billed(constants):
    """(case, service, region, day) -> kWh with the provider's PUE. A line of unknown kind has none: it goes by spend."""
    pue, sums = constants["constant", "PUE_AVG"], defaultdict(float)
    for case in {line["case_id"] for line in INPUTS}:
        for line in (line for line in INPUTS if line["case_id"] == case):
            kwh = known_kwh(line, constants)
            if kwh is not None:
                sums[case, line["serviceName"], line["region"], line["timestamp"]] += electricity_kwh(kwh, pue)
    return dict(sums)


@pytest.mark.parametrize("place", sorted(set(ROWS) - set(REFUSED)), ids=lambda place: "-".join(place))
def test_a_line_of_a_bill_has_the_peers_energy(place, billed, constants):
    expected = ROWS[place]
    assert billed[place] == pytest.approx(float(expected["expected_kwh"]), rel=1e-9)
    if factor := constants.get(("region_emission_factor", expected["region"].upper().replace("-", "_"))):  # the factors of US regions are not in the reference
        assert impact_of(billed[place], factor) == pytest.approx(float(expected["expected_co2e_t"]), rel=1e-9)


@pytest.mark.parametrize("place", sorted(REFUSED), ids=lambda place: "-".join(place))
def test_a_refused_line_is_answered_otherwise(place, billed):
    assert billed.get(place) != pytest.approx(float(ROWS[place]["expected_kwh"]), rel=1e-6), REFUSED[place]
