"""Templates: which braces are fields, and what stands in their place."""

import time
import uuid
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_client.engine.source import Source, SourceError, open_source
from cli_client.engine.template import Table, TableError, Template
from cli_client.settings import Settings
from cli_client.share import Share
from tests.cli_client.sending import report, send


def rendered(text: str, columns: tuple[str, ...] = (), row: tuple[str, ...] = ()) -> str:
    return Template(text, {"NAME": "{i}"}, columns).render(7, 3, row).decode()


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("no field", "no field"),
        ("{i}", "7"),
        ("{i}{i} {connection}", "77 3"),
        ("{env:NAME}", "{i}"),
        ("{env:OTHER}", "{env:OTHER}"),
        ('{"id":{i},"a":{"b":{}}}', '{"id":7,"a":{"b":{}}}'),
        ("{{i}}", "{7}"),
        ("{ i }", "{ i }"),
        ("{I} {j} {} {", "{I} {j} {} {"),
        ("{json:i}", "{json:i}"),
        ("zwölf {i} 🎲", "zwölf 7 🎲"),
    ],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    assert rendered(text) == filled


def test_a_column_is_a_field() -> None:
    columns, row = ("email", "first name"), ('a"b@x', "Zoë")
    assert rendered("{email} {first name} {other}", columns, row) == 'a"b@x Zoë {other}'
    assert rendered("{json:email}", columns, row) == '"a\\"b@x"'
    assert rendered("{json:other}", columns, row) == "{json:other}"


def test_a_value_is_not_filled_in_turn() -> None:
    assert rendered("{a}{b}", ("a", "b"), ("{b}", "{i}")) == "{b}{i}"


def test_a_uuid_is_new_each_time() -> None:
    ids = {rendered("{uuid}") for _ in range(100)}
    assert len(ids) == 100
    assert all(uuid.UUID(text).version == 4 for text in ids)


def test_the_time_is_in_milliseconds() -> None:
    before = int(time.time() * 1000)
    assert before <= int(rendered("{now_ms}")) <= int(time.time() * 1000)


@given(st.text(st.sampled_from('{}ij:"é ')))
def test_what_is_no_field_stays_as_it_is(text: str) -> None:
    template = Template(text, {})
    assert template.render(7, 1).decode() == text.replace("{i}", "7")
    around = template.around_number()
    assert (around is not None) is (text.count("{i}") == 1)
    if around is not None:
        assert b"7".join(around) == template.render(7, 1)


# The file of rows.


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "users.csv"


def take(source: Source, amount: int, connection: int = 1) -> list[str]:
    return [payload.decode() for _, payload in source.take(amount, connection)]


def open_for(settings: Settings, share: Share = Share()) -> Source:  # noqa: B008
    return open_source(settings, share, lambda: None)


def test_rows_are_used_in_turn_and_from_the_start_again(data: Path) -> None:
    data.write_text('\ufeffemail,name\r\na@x,"Ann, B."\r\n\r\nb@x,"two\nlines"\r\n')
    table = Table(data)
    assert table.columns == ["email", "name"]
    rows = [tuple(row) for row in islice(table.rows(), 5)]
    assert rows == [("a@x", "Ann, B."), ("b@x", "two\nlines")] * 2 + [("a@x", "Ann, B.")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"a,a\n", "has two columns 'a'"),
        (b"i,b\n", "a column cannot be called 'i', as {i} is taken"),
        (b"a\n", "has no row below its header"),
        (b"a,b\n1,2\n3\n", "line 3 of "),
        (b"a,b\n1\n", "has 1 values, and its header has 2"),
        (b"a\n\xff\n", "is not valid UTF-8"),
        (b"\xff\n", "is not valid UTF-8"),
        (b'a\n"b\n', "line 2 of "),
        (b"a\n" + b"x" * 200_000, "field larger than field limit"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(data: Path, content: bytes, why: str) -> None:
    data.write_bytes(content)
    with pytest.raises(TableError) as refused:
        for _ in islice(Table(data).rows(), 5):
            pass
    assert why in str(refused.value)
    assert str(data) in str(refused.value)


def test_a_percent_sign_goes_out_as_it_is() -> None:
    source = open_for(Settings(template="%d 50% {i} %%s", messages=2))
    assert take(source, 2) == ["%d 50% 0 %%s", "%d 50% 1 %%s"]


def test_each_request_has_the_row_of_its_number_in_every_share(data: Path) -> None:
    data.write_text("name\n" + "".join(f"n{i}\n" for i in range(7)))
    settings = Settings(template="{i} {name}", data=data, messages=20)
    whole = take(open_for(settings), 30)
    assert whole == [f"{i} n{i % 7}" for i in range(20)]
    parts = [take(open_for(settings, Share(index, 3)), 30) for index in range(3)]
    assert parts == [whole[index::3] for index in range(3)]


def test_a_request_has_the_number_of_the_connection_that_takes_it() -> None:
    source = open_for(Settings(template="{i} on {connection}", messages=3))
    assert take(source, 2, 1) + take(source, 2, 2) == ["0 on 1", "1 on 1", "2 on 2"]
    assert source.exhausted


def test_a_row_that_cannot_be_read_ends_the_source(data: Path) -> None:
    data.write_text("name\nx\n" + "y,z\n")
    source = open_for(Settings(template="{i} {name}", data=data, messages=5))
    assert take(source, 1) == ["0 x"]
    with pytest.raises(SourceError, match="line 3 of"):
        source.take(1)
    assert source.exhausted


@pytest.mark.parametrize("template", ["a {i}", "a {i} {connection}"])
@pytest.mark.parametrize(("key", "padding"), [(None, "."), ("/id", " ")])
def test_a_size_pads_with_what_the_kind_of_request_allows(
    template: str, key: str | None, padding: str
) -> None:
    (payload,) = take(open_for(Settings(template=template, size=20, messages=1, id=key)), 5)
    assert payload.rstrip(padding) in ("a 0", "a 0 1")
    assert len(payload) == 20


# Through the command.


@pytest.mark.parametrize("processes", [1, 2])
def test_requests_with_all_fields_get_right_replies(
    server_url: str, data: Path, processes: int
) -> None:
    data.write_text("name\nAnn\nBob\n")
    template = '{"n":{i},"by":{json:name},"at":{now_ms},"on":{connection},"id":"{uuid}"}'
    options = ["--template", template, "--data", data, "-c", 2, "--processes", processes]
    done = report(server_url, "-n", 100, *options)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 100


def test_responses_show_the_rows(server_url: str, data: Path) -> None:
    data.write_text("name\nAnn\nBob\n")
    done = send(server_url, "-n", 3, "-w", 1, "--template", "{name}", "--data", data)
    names = [line.split()[2] for line in done.stdout.splitlines()[:-1]]
    assert names == ["Ann:", "Bob:", "Ann:"]
