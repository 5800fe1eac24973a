"""Behaviour of greenit/gold/data_quality: scores and uncertainty by hand."""

from math import exp, log, sqrt

import ibis
import pytest

from platform_assets.greenit.gold.data_quality import dq_score, gsd, with_uncertainties

BEST = {"dq_rel": 1, "dq_comp": 1, "years_off": 0, "dq_geo": 1, "dq_tech": 1}
SCHEMA = dict.fromkeys(BEST, "int64")


@pytest.fixture
def rated(reference):
    """`rated(**changes)`: (score, geometric standard deviation) of an impact."""

    def compute(parameter=None, **changes):
        row = ibis.memtable([{**BEST, **changes}], schema=SCHEMA)
        made = with_uncertainties(row, reference("pedigree_uncertainty") if parameter is None else parameter)
        score = dq_score(made.dq_rel, made.dq_comp, made.years_off, made.dq_geo, made.dq_tech)
        ((found),) = made.select(score=score, gsd=gsd(made)).to_pyarrow().to_pylist()
        return found["score"], found["gsd"]

    return compute


def test_the_best_figure_has_score_one_and_no_uncertainty(rated):
    assert rated() == (1.0, pytest.approx(1.0))


def test_uncertainties_add_in_quadrature_of_their_logarithms(rated):
    # scores 4, 2, (5 years: 3), 4, 3: (4 + 2 + 3 + 4 + 3) / 5; factors 1.2, 1.02, 1.1, 1.05, 1.2
    score, spread = rated(dq_rel=4, dq_comp=2, years_off=-5, dq_geo=4, dq_tech=3)
    assert (score, spread) == (3.2, pytest.approx(exp(sqrt(log(1.2) ** 2 + log(1.02) ** 2 + log(1.1) ** 2 + log(1.05) ** 2 + log(1.2) ** 2))))


@pytest.mark.parametrize(("years", "score"), [(1, 1), (-1, 1), (2, 2), (3, 2), (4, 3), (6, 3), (7, 4), (10, 4), (11, 5)])
def test_distance_in_years_counts_in_steps(rated, years, score):
    assert rated(years_off=years)[0] == (4 + score) / 5


def test_what_is_not_known_counts_as_worst(rated):
    # five times 5; factors 1.5, 1.2, 1.5, 1.1, 2
    score, spread = rated(**dict.fromkeys(BEST))
    assert (score, spread) == (5.0, pytest.approx(exp(sqrt(2 * log(1.5) ** 2 + log(1.2) ** 2 + log(1.1) ** 2 + log(2) ** 2))))


def test_without_the_parameter_the_uncertainty_is_unknown_and_not_none(rated, reference):
    assert rated(reference("pedigree_uncertainty").filter(ibis.literal(False)))[1] is None
