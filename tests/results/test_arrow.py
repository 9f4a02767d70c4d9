"""Arrow streams and Parquet files, read back by pyarrow and, for their headers, by astropy."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import votable as astropy_votable
from hypothesis import given, settings

from km3vo.results import arrow
from km3vo.results.stream import Info, Result, arrow_type
from tests.support.cells import Sample, as_text, check, sample, samples

QUICK = settings(max_examples=60, deadline=None)


def parquet(result: Result) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(b"".join(arrow.write_parquet(result))))


def header(file: pq.ParquetFile) -> Any:
    metadata = file.metadata.metadata
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    return astropy_votable.parse(io.BytesIO(metadata[b"IVOA.VOTable-Parquet.content"]), verify="exception")


@QUICK
@given(samples())
def test_an_arrow_stream_is_what_came_in(drawn: Sample) -> None:
    table = pa.ipc.open_stream(b"".join(arrow.write_stream(drawn.result()))).read_all()
    assert table.schema.types == [arrow_type(column) for column in drawn.columns]
    check([column.to_pylist() for column in table.columns], drawn.cells, drawn.columns)
    for column, field in zip(drawn.columns, table.schema, strict=True):
        assert (field.metadata or {}).get(b"unit", b"").decode() == (column.unit or "")
        assert (field.metadata or {}).get(b"description", b"").decode() == (column.description or "")


def test_an_arrow_stream_ends_with_a_note_when_rows_are_missing() -> None:
    stream = b"".join(arrow.write_stream(sample({"int": [1, 2]}).result(maxrec=1)))
    batches = list(pa.ipc.open_stream(stream).iter_batches_with_custom_metadata())
    assert [batch.batch.num_rows for batch in batches] == [1, 0]
    assert dict(batches[-1].custom_metadata) == {b"QUERY_STATUS": b"OVERFLOW"}


@QUICK
@given(samples())
def test_parquet_is_what_came_in(drawn: Sample) -> None:
    file = parquet(drawn.result())
    table = file.read()
    check([column.to_pylist() for column in table.columns], as_text(drawn.cells), drawn.columns)
    fields = header(file).get_first_table().fields
    assert [field.name for field in fields] == table.column_names
    assert [str(field.unit or "") for field in fields] == [column.unit or "" for column in drawn.columns]


def test_the_header_in_parquet_says_how_long_strings_are_and_what_is_missing() -> None:
    base = sample({"text": ["Kπ", "", None], "time": [None, None, None]})
    file = parquet(base.result(maxrec=2, infos=(Info("publisher", "KM3NeT"),)))
    document = header(file)
    # Bytes of UTF-8, not less than characters; a column of nothing is one wide, not zero.
    assert [field.arraysize for field in document.get_first_table().fields] == ["3", "1"]
    assert document.infos[0].value == "KM3NeT"
    status = [info.value for resource in document.resources for info in resource.infos if info.name == "QUERY_STATUS"]
    assert status[0] == "OK" and b'value="OVERFLOW"' in file.metadata.metadata[b"IVOA.VOTable-Parquet.content"]


def test_parquet_has_row_groups_of_moderate_size() -> None:
    batches = [batch for _ in range(40) for batch in sample({"int": list(range(5000))}).batches]
    file = parquet(Result(sample({"int": []}).columns, batches))
    assert file.metadata.num_rows == 200_000
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    assert min(sizes[:-1]) >= 65536 and max(sizes) < 100_000
    assert header(parquet(Result(sample({"int": []}).columns, []))).get_first_table().fields[0].name == "int"
