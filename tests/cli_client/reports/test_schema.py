"""The schema that is published: reports keep to it, and it describes each of their fields."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli_client.reports.checks import parse_check
from cli_client.reports.load import NEEDED, SCHEMA
from tests.cli_client.reports.samples import failing, passing

PUBLISHED = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())
VALIDATOR = Draft202012Validator(PUBLISHED)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object within a schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for inner in schema.values():
            yield from objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from objects(inner)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["properties"]["schema"]["const"] == SCHEMA


@pytest.mark.parametrize("make", [passing, failing])
def test_reports_keep_to_it(make: Callable[[], dict[str, Any]]) -> None:
    report = make()
    report["checks"] = [parse_check(text).judge(report) for text in ("p99<5ms", "raw_p99<1s")]
    VALIDATOR.validate(json.loads(json.dumps(report)))


def test_every_field_is_described_and_needed_and_there_are_no_others() -> None:
    for schema in objects(PUBLISHED):
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        for name, field in schema["properties"].items():
            assert field["description"].endswith("."), name
            if name.endswith("_ms"):
                assert "illisecond" in json.dumps(field), name


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"verdict": "maybe"},
        {"extra": 1},
        {"latency_ms": None},
        {"numbers": {}},
        {"errors": [{"message": "m"}]},
        {"rate": -1},
    ],
)
def test_it_refuses_what_is_no_report(change: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**passing(), **change})


def test_what_a_report_file_must_have_is_part_of_it() -> None:
    assert set(NEEDED) <= set(PUBLISHED["required"])
    for name in ("ledger", "attempts"):
        assert list(NEEDED[name]) == PUBLISHED["properties"][name]["required"]
    assert list(NEEDED["latency_ms"]) == PUBLISHED["$defs"]["latencies"]["required"]
