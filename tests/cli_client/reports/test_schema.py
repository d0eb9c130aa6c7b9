"""The schema that is published: reports keep to it, and it describes each of their fields."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from jsonschema import Draft202012Validator

from cli_client.ledger.figures import ATTEMPTS, LATENCIES, LEDGER, MESSAGES
from cli_client.reports.checks import COUNTS, TIMES, parse_check
from cli_client.reports.checks import LATENCIES as LATENCY_CHECKS
from cli_client.reports.schema import SCHEMA, Report
from tests.cli_client.reports.samples import failing, interrupted, passing, recovered, unopened

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


@pytest.mark.parametrize("make", [passing, recovered, failing, interrupted, unopened])
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
        {"schema": 1},
        {"verdict": "PASS"},
        {"extra": 1},
        {"latency_ms": {}},
        {"numbers": {}},
        {"errors": [{"message": "m"}]},
        {"rate": -1},
    ],
)
def test_it_refuses_what_is_no_report(change: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**passing(), **change})


def published_names(schema: dict[str, Any]) -> Any:
    """The names of the fields of a schema, and of those within them."""
    if "$ref" in schema:
        return published_names(PUBLISHED["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return published_names(schema["anyOf"][0])
    if "items" in schema:
        return published_names(schema["items"])
    return {name: published_names(field) for name, field in schema.get("properties", {}).items()}


def typed_names(kind: Any) -> Any:
    """The names of the fields of a TypedDict, and of those within them."""
    if is_typeddict(kind):
        return {name: typed_names(field) for name, field in get_type_hints(kind).items()}
    for part in get_args(kind):
        if get_origin(kind) is not dict and typed_names(part):
            return typed_names(part)
    return {}


def test_the_schema_and_the_types_have_the_same_fields() -> None:
    assert json.dumps(published_names(PUBLISHED)) == json.dumps(typed_names(Report))


def test_the_figures_have_the_names_of_the_schema() -> None:
    names = published_names(PUBLISHED)
    assert list(names["ledger"]) == list(LEDGER)
    assert list(names["messages"]) == ["received", *MESSAGES]
    assert list(names["attempts"]) == list(ATTEMPTS)
    assert list(names["latency_ms"]) == list(LATENCIES)


DEFINITIONS = """\
- **FAIL**: a request wrong, missing or never sent; a message duplicate, late, unsolicited, or
out of order; a breach of the protocol by the server (a wrong `Sec-WebSocket-Accept` is one); a
connection given up for good; a check that does not hold; an equation that does not balance.
- **RECOVERED**: else, if a handshake failed and a later one succeeded, a connection ended that
we did not end (whatever its code), anything was sent again, or our Close was not answered.
- **PASS**: nothing of all this.
- requests = verified + wrong + missing + never sent.
- messages received (counted where the protocol completes a message) = verified + wrong +
duplicate + late + unsolicited (an out-of-order reply is verified and counted as out of order
besides)
- A message is *wrong* if it starts with the payload of a request in flight on its connection
(longest match) without being its right reply, or if it stands in a gap that later right replies
reveal, or if it is the one unmatched message left when a request times out.
- Else it is *unsolicited*, and it settles nothing.
- **Elapsed** is the time from the first request to the last reply
"""


def test_the_documentation_has_the_definitions_word_by_word() -> None:
    words = " ".join((Path(__file__).parents[3] / "docs" / "report.md").read_text().split())
    for definition in DEFINITIONS.replace("\n- ", "\n\n- ").split("\n\n"):
        assert " ".join(definition.split()) in words


def test_the_documentation_names_every_check() -> None:
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
    for name in (*COUNTS, *TIMES, *LATENCY_CHECKS):
        if name != "outage_total":
            assert re.search(rf"`{name}\b", text), name
