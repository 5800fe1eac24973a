"""Behaviour of greenit/silver/ai_usage."""

from datetime import date

import pytest

from platform_assets.greenit.silver.ai_usage import ai_usage

LINE = {"provider": "OpenAI", "model": "GPT-4o-mini", "day": "2024-06-01", "requests": "20", "tokens_out": "6000"}


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


@pytest.fixture
def usage(bronze_of, reference, rows):
    return lambda *changes: rows(ai_usage(bronze_of("ai_usage_log", "strata_1", LINE, *changes), reference("ai_provider"), reference("country")), "_row")


def test_a_line_comes_out_typed_and_named_by_file_and_row(usage):
    (line,) = usage({"tokens_in": "9000", "latency_seconds": "61.5", "country": "Suède", "application_id": "chat"})
    assert (line["usage_id"], line["provider"], line["model"], line["day"]) == ("abababababababab-1", "openai", "gpt-4o-mini", date(2024, 6, 1))
    assert (line["requests"], line["tokens_out"], line["tokens_in"], line["latency_seconds"]) == (20, 6000, 9000, 61.5)
    assert (line["country_code"], line["application_id"], line["_rejects"]) == ("SWE", "chat", None)


def test_a_conformed_name_is_found_among_the_models(usage, reference):
    said = [("Azure OpenAI", "gpt-4o-mini"), ("Mistral AI", "Mistral-Large-2411"), ("Hugging Face", "meta-llama/Llama-2-7b"), ("Claude", "claude-haiku-4-5")]
    lines = usage(*({"provider": provider, "model": model} for provider, model in said))
    known = {(row["provider"], row["model"]) for row in reference("language_model").to_pyarrow().to_pylist()}
    assert [(line["provider"], line["model"]) in known for line in lines] == [True] * 4


def test_an_unknown_provider_keeps_its_own_word_and_gaps_stay_unknown(usage):
    (line,) = usage({"provider": " Skynet ", "model": "T-800"})
    assert (line["provider"], line["model"]) == ("skynet", "t-800")
    assert [line[name] for name in ("tokens_in", "latency_seconds", "country_code", "_rejects")] == [None] * 4


def test_equal_lines_are_two_uses(usage):
    assert [line["usage_id"] for line in usage({}, {})] == ["abababababababab-1", "abababababababab-2"]


BAD = [
    ({"provider": None}, "MISSING_VALUE", "provider"), ({"model": " "}, "MISSING_VALUE", "model"), ({"day": "01.06.2024"}, "DATE_FORMAT", "day"),
    ({"requests": None}, "MISSING_VALUE", "requests"), ({"requests": "-20"}, "NUMBER_RANGE", "requests"), ({"tokens_out": "-1"}, "NUMBER_RANGE", "tokens_out"),
    ({"tokens_out": "6k"}, "NUMBER_FORMAT", "tokens_out"), ({"tokens_in": "1e40"}, "NUMBER_RANGE", "tokens_in"),
    ({"latency_seconds": "-0.1"}, "NUMBER_RANGE", "latency_seconds"), ({"country": "Atlantis"}, "DOMAIN", "country"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_line_and_not_the_clean_ones(usage):
    lines = usage({}, *(change for change, *_why in BAD), {})
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]
