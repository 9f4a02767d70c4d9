"""Reading uploaded tables of any known format. What a file is, its first bytes tell: labels are often wrong."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from km3vo.catalog.model import Column, Datatype
from km3vo.errors import TooLargeError, UploadError
from km3vo.store.uploads_cells import checked_sizes, is_array, stored_type, times, without_nan
from km3vo.store.uploads_votable import fields_of, read_votable, unzipped

FORMATS = "VOTable, CSV, TSV, ECSV, FITS or Parquet"
MOST_COLUMNS = 1000

_HEADER_OF_VOPARQUET = b"IVOA.VOTable-Parquet.content"


def read_file(file: BinaryIO, *, most_rows: int, most_bytes: int) -> tuple[list[Column], pa.Table]:
    """An uploaded table: its columns (``sql`` is the name in the Arrow table), and its rows.

    The rows have the Arrow types of results, but geometries are always in double precision.

    Raises:
        UploadError: it is of no known format, or not what it looks like.
        TooLargeError: more rows or bytes than allowed.
    """
    head = file.read(4096)
    file.seek(0)
    if head[:2] == b"\x1f\x8b":
        file = io.BytesIO(unzipped(file.read(), most_bytes))
        head = file.read(4096)
        file.seek(0)
    try:
        columns, table = _read(file, head, most_rows, most_bytes)
    except (pa.ArrowException, UnicodeDecodeError, ValueError, LookupError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UploadError(f"it cannot be read: {reason or type(error).__name__}") from error
    if not columns:
        raise UploadError("it has no columns")
    if len(columns) > MOST_COLUMNS:
        raise TooLargeError(f"an uploaded table may have {MOST_COLUMNS} columns; this one has {len(columns)}")
    _check_rows(table.num_rows, most_rows)
    return _unique(columns), table


def _read(file: BinaryIO, head: bytes, most_rows: int, most_bytes: int) -> tuple[list[Column], pa.Table]:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise UploadError("it is empty")
    if start.startswith(b"<"):
        return read_votable(file, most_rows=most_rows, most_bytes=most_bytes)
    if start.startswith(b"SIMPLE  ="):
        return _read_fits(file.read(), most_rows)
    if start.startswith(b"PAR1"):
        return _read_parquet(file.read(), most_rows, most_bytes)
    if start.startswith(b"# %ECSV"):
        return _read_ecsv(file.read(), most_rows)
    if b"\0" in head:
        raise UploadError(f"it is of no known format: upload {FORMATS}")
    return _read_text(file, "\t" if b"\t" in start.partition(b"\n")[0] else ",", most_rows)


def _check_rows(rows: int, most: int) -> None:
    if rows > most:
        raise TooLargeError(f"an uploaded table may have {most} rows; this one has {rows}")


def _unique(columns: Sequence[Column]) -> list[Column]:
    """The columns with different names, whatever their case: a query could not name the second otherwise."""
    taken: set[str] = set()
    found = []
    for column in columns:
        name, number = column.name.strip() or "column", 1
        while name.lower() in taken:
            number += 1
            name = f"{column.name}_{number}"
        taken.add(name.lower())
        found.append(replace(column, name=name))
    return found


# Text ----------------------------------------------------------------------------------------------------------------


def _read_text(file: BinaryIO, separator: str, most_rows: int) -> tuple[list[Column], pa.Table]:
    """Types follow from the values; an empty cell, NaN or NULL is missing."""
    table = arrow_csv.read_csv(
        file,
        parse_options=arrow_csv.ParseOptions(delimiter=separator),
        convert_options=arrow_csv.ConvertOptions(
            null_values=["", "nan", "NaN", "null", "NULL"], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    _check_rows(table.num_rows, most_rows)
    return from_arrow(table.column_names, table.columns)


def _read_ecsv(raw: bytes, most_rows: int) -> tuple[list[Column], pa.Table]:
    from astropy.table import Table

    _check_rows(raw.count(b"\n"), most_rows + raw.count(b"\n#") + 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = Table.read(raw.decode(), format="ascii.ecsv")
    return _from_astropy(table)


# Tables of other programs --------------------------------------------------------------------------------------------


def _read_parquet(raw: bytes, most_rows: int, most_bytes: int) -> tuple[list[Column], pa.Table]:
    source = pa.BufferReader(raw)
    metadata = parquet.read_metadata(source)
    _check_rows(metadata.num_rows, most_rows)
    schema = metadata.schema.to_arrow_schema()
    # As dictionaries, a few long strings that are repeated a million times stay a few.
    texts = [item.name for item in schema if pa.types.is_string(item.type) or pa.types.is_binary(item.type)]
    source.seek(0)
    table = parquet.ParquetFile(source, read_dictionary=texts).read()
    if sum(map(_unpacked, table.columns)) > 4 * most_bytes:
        raise TooLargeError(f"uploads may have {most_bytes} bytes together; unpacked, these have far more")
    columns, rows = from_arrow(table.column_names, table.columns)
    header = (metadata.metadata or {}).get(_HEADER_OF_VOPARQUET)
    if header is None:
        return columns, rows
    described = {field.column.name: field.column for field in fields_of(header)}
    return _described(columns, rows, [described.get(column.name) for column in columns])


def _unpacked(column: pa.ChunkedArray) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    size = 0
    for chunk in column.chunks:
        lengths = pc.fill_null(pc.binary_length(chunk.dictionary), 0)
        size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    return size


def _described(
    columns: Sequence[Column], rows: pa.Table, described: Sequence[Column | None]
) -> tuple[list[Column], pa.Table]:
    """Columns with the metadata of their FIELDs, and the rows in the types that these declare."""
    found, arrays = [], []
    for column, field in zip(columns, described, strict=True):
        merged = column if field is None else replace(field, name=column.name, sql=column.sql)
        found.append(merged)
        arrays.append(fitted(merged, rows[column.sql].combine_chunks()))
    return found, pa.table(arrays, names=[column.sql for column in found])


def _read_fits(raw: bytes, most_rows: int) -> tuple[list[Column], pa.Table]:
    return _from_astropy(_fits_table(raw, most_rows))


def fits_arrays(raw: bytes, columns: Sequence[Column], most_rows: int) -> list[pa.Array]:
    """The columns of the table in a FITS file as what the FIELDs of a VOTable say they are.

    Raises:
        UploadError: they are something else.
    """
    try:
        found, rows = _from_astropy(_fits_table(raw, most_rows))
    except (ValueError, LookupError, TypeError, OSError) as error:
        raise UploadError(f"the FITS file in it cannot be read: {str(error)[:100]}") from error
    if len(found) != len(columns):
        raise UploadError(f"the FITS file in it has {len(found)} columns, but there are {len(columns)} FIELDs")
    return [fitted(column, rows[there.sql].combine_chunks()) for column, there in zip(columns, found, strict=True)]


def _fits_table(raw: bytes, most_rows: int) -> Any:
    from astropy.io import fits
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(raw)) as hdus:
            for hdu in hdus:
                if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
                    _check_rows(int(hdu.header["NAXIS2"]), most_rows)
                    return Table.read(hdu, format="fits")
    raise UploadError("the FITS file holds no table")


def _from_astropy(table: Any) -> tuple[list[Column], pa.Table]:
    names = list(table.colnames)
    columns, rows = from_arrow(names, [_array(table[name]) for name in names])
    described = []
    for column, name in zip(columns, names, strict=True):
        info = table[name].info
        unit = str(info.unit) if info.unit is not None and str(info.unit) else None
        meta = info.meta or {}
        described.append(
            replace(column, unit=unit, description=info.description or None, ucd=meta.get("ucd") or column.ucd)
        )
    return described, rows


def _array(column: Any) -> pa.Array:
    """A column of astropy's; masked values become NULL."""
    if hasattr(column, "isot"):  # a Time
        return pa.array([str(time) for time in np.atleast_1d(column.utc.isot)]).cast(pa.timestamp("us"))
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    values = np.asarray(column)
    if values.dtype.kind == "S":
        values = np.char.rstrip(np.char.decode(values, "utf-8", "replace"))
    if not values.dtype.isnative:  # FITS is big-endian
        values = values.astype(values.dtype.newbyteorder("="))
    if values.ndim > 1:
        return pa.array(list(values.reshape(len(values), -1)))
    return pa.array(values, mask=mask)


# What Arrow's types are in VOTable -----------------------------------------------------------------------------------


def from_arrow(names: Iterable[str], arrays: Iterable[pa.Array | pa.ChunkedArray]) -> tuple[list[Column], pa.Table]:
    """Columns and rows for Arrow arrays of any types that a table may have."""
    columns, found = [], []
    for number, (name, array) in enumerate(zip(names, arrays, strict=True), 1):
        flat = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        if pa.types.is_dictionary(flat.type):
            flat = flat.cast(flat.type.value_type)
        datatype, arraysize, xtype = _declared(name, flat.type)
        column = Column(name=name, datatype=datatype, arraysize=arraysize, xtype=xtype, sql=f"c{number}")
        columns.append(column)
        found.append(fitted(column, flat))
    return columns, pa.table(found, names=[column.sql for column in columns])


def _declared(name: str, type_: pa.DataType) -> tuple[Datatype, str | None, str | None]:
    types = pa.types
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        datatype, arraysize, _ = _declared(name, type_.value_type)
        if arraysize is None:
            return datatype, str(type_.list_size) if types.is_fixed_size_list(type_) else "*", None
    for test, datatype in _OF_ARROW:
        if test(type_):
            text = datatype in ("char", "unicodeChar")
            time = types.is_timestamp(type_) or types.is_date(type_)
            return datatype, "*" if text else None, "timestamp" if time else None
    raise UploadError(f"column {name[:60]} is of the type {type_}, which is not supported: leave it out")


_OF_ARROW: tuple[tuple[Any, Datatype], ...] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_uint8, "unsignedByte"),
    (pa.types.is_int8, "short"),
    (pa.types.is_int16, "short"),
    (pa.types.is_uint16, "int"),
    (pa.types.is_int32, "int"),
    (pa.types.is_integer, "long"),
    (pa.types.is_float16, "float"),
    (pa.types.is_float32, "float"),
    (pa.types.is_floating, "double"),
    (pa.types.is_decimal, "double"),
    (pa.types.is_timestamp, "char"),
    (pa.types.is_date, "char"),
    (pa.types.is_string, "char"),
    (pa.types.is_large_string, "char"),
    (pa.types.is_binary, "char"),
    (pa.types.is_null, "char"),
)


def fitted(column: Column, array: pa.Array) -> pa.Array:
    """The array in the type in which the column is stored.

    Raises:
        UploadError: a value has no room in it.
    """
    try:
        if column.is_string and column.xtype == "timestamp":
            if pa.types.is_string(array.type):
                return times(pc.utf8_trim_whitespace(array))
            if pa.types.is_timestamp(array.type) and array.type.tz:
                array = array.cast(pa.timestamp(array.type.unit, "UTC")).cast(pa.timestamp(array.type.unit))
            return array.cast(pa.timestamp("us"), safe=False)
        if not is_array(column):
            return without_nan(array.cast(stored_type(column)))
        return checked_sizes(column, array.cast(stored_type(column)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        raise UploadError(f"column {column.name[:60]} holds values that are no {column.datatype}") from None
