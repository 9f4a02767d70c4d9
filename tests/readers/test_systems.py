"""Units, clocks, frames and marks that a file states in a place where nobody may have looked: at both doors."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

from km3vo.catalog.model import Position
from km3vo.catalog.model import Table as Published
from km3vo.column import JD, Column, TimeSystem
from km3vo.errors import Km3voError
from km3vo.loading.columns import match
from km3vo.readers.content import Content
from km3vo.readers.formats import open_table
from km3vo.readers.opened import Options
from km3vo.results import formats
from km3vo.results.stream import Result
from km3vo.uploads.files import read_file

RA, DEC = (Column(name=name, datatype="double", unit="deg", ucd=f"pos.eq.{name};meta.main") for name in ("ra", "dec"))
EVENTS = Published(
    schema="lab",
    name="events",
    title="T",
    description="",
    columns=(
        RA,
        DEC,
        Column(name="mjd", datatype="double", unit="d", ucd="time.epoch"),
        Column(name="obs_time", datatype="char", arraysize="*", xtype="timestamp", ucd="time.epoch"),
        Column(name="energy", datatype="double", unit="GeV", ucd="phys.energy"),
        Column(name="frame", datatype="long"),
        Column(name="flag", datatype="boolean"),
    ),
    time="mjd",
    position=Position(ra="ra", dec="dec"),
)
GALACTIC_CENTRE = (pytest.approx(266.404988), pytest.approx(-28.936178))
Reader = Callable[[bytes, str], dict[str, list[Any]]]


def uploaded(content: bytes, name: str) -> dict[str, list[Any]]:
    table = read_file(io.BytesIO(content), most_rows=100, most_bytes=2**24)
    return {column.name: cells.to_pylist() for column, cells in zip(table.columns, table.rows.columns, strict=True)}


def loaded(content: bytes, name: str) -> dict[str, list[Any]]:
    told: list[str] = []

    def note(line: int, text: str) -> None:
        told.append(f"row {line}: {text}")

    fitting = match(EVENTS, open_table(Content(io.BytesIO(content)), note, Options(), name), None, note)
    batches = [] if told else [fitting.fit(block) for block in fitting.opened.blocks]
    if told:
        raise Km3voError("; ".join(told))
    return pa.Table.from_batches(batches).to_pydict()


each_door = pytest.mark.parametrize("read", [uploaded, loaded])


def refused(read: Reader, content: bytes, name: str) -> str:
    with pytest.raises(Km3voError) as caught:
        read(content, name)
    return str(caught.value)


# VOTable --------------------------------------------------------------------------------------------------------------

MJD = '<FIELD name="mjd" datatype="double" unit="{unit}" ucd="time.epoch"{more}/>'
POSITION = "".join(
    f'<FIELD name="{name}" datatype="double" unit="deg" ucd="pos.eq.{name};meta.main"{{more}}/>'
    for name in ("ra", "dec")
)
TIMESYS = '<TIMESYS ID="{name}" timescale="{scale}" refposition="TOPOCENTER" timeorigin="MJD-origin"/>'


def votable(fields: str, row: str, before: str = "", after: str = "") -> bytes:
    cells = "".join(f"<TD>{cell}</TD>" for cell in row.split())
    return (
        f'<VOTABLE version="1.4">{before}<RESOURCE type="results"><TABLE ID="t">{fields}'
        f"<DATA><TABLEDATA><TR>{cells}</TR></TABLEDATA></DATA></TABLE></RESOURCE>{after}</VOTABLE>"
    ).encode()


@each_door
def test_a_system_that_is_ours_does_not_hide_one_that_is_not(read: Reader) -> None:
    times = TIMESYS.format(name="a", scale="TT") + TIMESYS.format(name="b", scale="UTC")
    assert "speaks of times in TT" in refused(read, votable(MJD.format(unit="d", more=""), "60000.5", times), "x.vot")
    frames = '<COOSYS ID="a" system="FK4"/><COOSYS ID="b" system="ICRS"/>'
    assert "speaks of FK4" in refused(read, votable(POSITION.format(more=""), "10 20", frames), "x.vot")


@each_door
@pytest.mark.parametrize(
    "more",
    [
        '<PARAM utype="stc:AstroCoordSystem.SpaceFrame.CoordRefFrame" value="FK4" {more}/>',
        '<GROUP utype="stc:CatalogEntryLocation"><PARAM utype="stc:AstroCoordSystem.SpaceFrame.CoordRefFrame" '
        'value="FK4" {more}/></GROUP>',
        '<ATTRIBUTE dmrole="coords:SpaceFrame.spaceRefFrame" value="FK4"/>',
    ],
)
def test_frames_of_other_models_are_not_passed_over(read: Reader, more: str) -> None:
    more = more.format(more='name="frame" datatype="char" arraysize="*"')
    assert "speaks of FK4" in refused(read, votable(POSITION.format(more="") + more, "10 20"), "x.vot")
    ours = more.replace("FK4", "ICRS")
    assert read(votable(POSITION.format(more="") + ours, "10 20"), "x.vot") == {"ra": [10], "dec": [20]}


@each_door
def test_scales_of_other_models_are_not_passed_over(read: Reader) -> None:
    scale = '<PARAM name="s" datatype="char" utype="stc:AstroCoordSystem.TimeFrame.TimeScale" value="TT"/>'
    assert "speaks of times in TT" in refused(read, votable(MJD.format(unit="d", more="") + scale, "60000"), "x.vot")
    place = '<PARAM name="s" utype="stc:AstroCoordSystem.TimeFrame.ReferencePosition" value="BARYCENTER"/>'
    assert "BARYCENTER" in refused(read, votable(MJD.format(unit="d", more="") + place, "60000"), "x.vot")


@each_door
def test_a_reference_to_nothing_is_refused(read: Reader) -> None:
    content = votable(POSITION.format(more=' ref="gone"'), "10 20")
    assert 'column ra refers to "gone", which is not in the file' in refused(read, content, "x.vot")
    group = votable(POSITION.format(more=' ref="g"'), "10 20", before='<GROUP ID="g"/>')
    assert read(group, "x.vot") == {"ra": [10], "dec": [20]}


@each_door
def test_missing_values_that_another_column_declares(read: Reader) -> None:
    def frame(values: str) -> str:
        return f'<FIELD name="frame" datatype="long">{values}</FIELD>'

    first = '<FIELD name="energy" datatype="double"><VALUES ID="v" null="-99"/></FIELD>'
    assert read(votable(first + frame('<VALUES ref="v"/>'), "1 -99"), "x.vot") == {"energy": [1], "frame": [None]}
    assert "does not stand before" in refused(read, votable(frame('<VALUES ref="v"/>'), "-99"), "x.vot")


@each_door
@pytest.mark.parametrize(
    "info",
    [
        '<INFO name="Warning" value="truncated result (maxtup=50)"/>',
        '<INFO name="warning" value="">The maximum number of rows was reached</INFO>',
    ],
)
def test_a_warning_that_rows_are_missing_is_a_mark(read: Reader, info: str) -> None:
    content = votable(POSITION.format(more=""), "10 20", after=info)
    assert "it warns: " in refused(read, content, "x.vot")
    fine = content.replace(info.encode(), b'<INFO name="Warning" value="No center provided++++"/>')
    assert read(fine, "x.vot") == {"ra": [10], "dec": [20]}


@each_door
@pytest.mark.parametrize("system", ['<COOSYS ID="late" system="FK4"/>', TIMESYS.format(name="late", scale="TT")])
def test_a_system_behind_the_table_that_refers_to_it_is_refused(read: Reader, system: str) -> None:
    fields = POSITION.format(more=' ref="late"') + MJD.format(unit="d", more=' ref="late"')
    content = votable(fields, "10 20 60000.5", after=f"<RESOURCE>{system}</RESOURCE>")
    assert '"late" stands behind the table' in refused(read, content, "x.vot")


@each_door
def test_an_error_of_a_cone_search_beside_a_table_is_refused(read: Reader) -> None:
    fields, error = POSITION.format(more=""), 'name="Error" value="the search stopped"/>'
    assert "the search stopped" in refused(read, votable(fields, "10 20", f"<INFO {error}"), "x.vot")
    told = f'<RESOURCE><PARAM datatype="char" arraysize="*" {error}</RESOURCE>'
    assert "the search stopped" in refused(read, votable(fields, "10 20", told), "x.vot")
    number = '<RESOURCE><PARAM datatype="double" name="error" value="0.5"/></RESOURCE>'
    assert read(votable(fields, "10 20", number), "x.vot") == {"ra": [10], "dec": [20]}


@each_door
def test_a_table_with_the_columns_of_another_is_a_table(read: Reader) -> None:
    other = '<TABLE ref="t"><DATA><TABLEDATA><TR><TD>1</TD><TD>2</TD></TR></TABLEDATA></DATA></TABLE>'
    content = votable(POSITION.format(more=""), "10 20", after=f"<RESOURCE>{other}</RESOURCE>")
    assert uploaded(content, "x.vot")["ra"] == [10]  # that of type="results"
    assert "2 tables: 1 (t), 2" in refused(read, content.replace(b' type="results"', b""), "x.vot")


def test_seconds_or_years_since_nobody_says_when_are_no_mjd() -> None:
    for unit in ("s", "yr"):
        content = votable(MJD.format(unit=unit, more=""), "2021.5")
        assert f'its unit is "{unit}", and nothing says since when' in refused(loaded, content, "x.vot")


# FITS -----------------------------------------------------------------------------------------------------------------


def fits_file(columns: list[fits.Column], primary: dict[str, Any] | None = None, **keywords: Any) -> bytes:
    table = fits.BinTableHDU.from_columns(columns)
    first = fits.PrimaryHDU()
    table.header.update(keywords)
    first.header.update(primary or {})
    out = io.BytesIO()
    fits.HDUList([first, table]).writeto(out)
    return out.getvalue()


def moments(unit: str = "d") -> list[fits.Column]:
    return [fits.Column("mjd", "D", array=[60000.0], unit=unit)]


@each_door
@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"TCTYP1": "UTC", "DATEREF": "yesterday"}, 'DATEREF: "yesterday" is not a time'),
        ({"TCTYP1": "UTC", "TIMEOFFS": 1.0, "TIMEUNIT": "furlong"}, 'TIMEUNIT: its unit is "furlong"'),
        ({"TIMEOFFS": 1.0}, "does not say whether these do"),
        ({"TIMEZERO": 1.0}, "does not say whether these do"),
        ({"TCTYP1": "UT1"}, 'its times are in the scale "UT1"'),
        ({"TCTYP1": "LOCAL"}, 'its times are in the scale "LOCAL"'),
        ({"TSCAL1": 0.0}, "multiplies its numbers with 0"),
    ],
)
def test_keywords_of_times_are_obeyed_or_refused(read: Reader, keywords: dict[str, Any], says: str) -> None:
    assert says in refused(read, fits_file(moments(), **keywords), "x.fits")


@each_door
def test_times_of_x_ray_missions_begin_where_timezero_says(read: Reader) -> None:
    content = fits_file(moments("s"), TCTYP1="UTC", MJDREFI=55000, MJDREFF=0.0, TIMEZERO=86400.0)
    assert read(content, "x.fits")["mjd"] == [55001 + 60000 / 86400]


@each_door
def test_a_table_inherits_what_the_primary_header_says_if_it_says_so(read: Reader) -> None:
    position = [fits.Column(name, "D", array=[10.0], unit="deg") for name in ("ra", "dec")]
    content = fits_file([*position, *moments()], {"RADESYS": "FK4", "TIMESYS": "TT"}, INHERIT=True, TCTYP3="TIME")
    found = read(content, "x.fits")
    assert found["ra"] == [pytest.approx(10.647, abs=0.01)]
    assert found["mjd"] == [pytest.approx(60000 - 69.184 / 86400, abs=1e-9)]
    primary = {"RADESYS": "FK4", "TIMESYS": "TT"}
    assert read(fits_file(position, primary, INHERIT=False), "x.fits")["ra"] == [10]
    assert read(fits_file(position, primary, RADESYS="ICRS"), "x.fits")["ra"] == [10]
    message = refused(read, fits_file([*position, *moments()], primary, TCTYP3="TIME"), "x.fits")
    assert "speaks of times in TT, and not the table's" in message
    assert "speaks of positions in FK4 (B1950), and not the table's" in message


@each_door
def test_axes_have_frames_of_their_own(read: Reader) -> None:
    def position(**keywords: Any) -> bytes:
        columns = [fits.Column(name, "D", array=[0.0], unit="deg") for name in ("ra", "dec")]
        return fits_file(columns, None, **keywords)

    found = read(position(TCTYP1="GLON-CAR", TCTYP2="GLAT-CAR"), "x.fits")
    assert (found["ra"][0], found["dec"][0]) == GALACTIC_CENTRE
    found = read(position(RADE1="FK4", EQUI1=1950.0, RADE2="FK4", EQUI2=1950.0), "x.fits")
    assert found["ra"] == [pytest.approx(0.64069, abs=1e-4)]
    columns = [fits.Column(name, "D", array=[0.1]) for name in ("ra", "dec")]
    found = read(fits_file(columns, TCTYP1="RA", TCUNI1="rad"), "x.fits")
    assert found["ra"] == [0.1 if read is uploaded else pytest.approx(np.degrees(0.1))]
    says = "its positions are computed from pixels"
    pixels = {"TCTYP1": "RA---TAN", "TCTYP2": "DEC--TAN", "TCRVL1": 10.0, "TCDLT1": 0.01, "TCRVL2": 10.0}
    assert says in refused(read, position(**pixels), "x.fits")


def fits_plus(columns: list[fits.Column], fields: str, systems: str) -> bytes:
    """A table as STILTS and TOPCAT write it, with a VOTable where an image would be."""
    text = f'<VOTABLE>{systems}<RESOURCE><TABLE nrows="1">{fields}</TABLE></RESOURCE></VOTABLE>'
    primary = fits.PrimaryHDU(np.frombuffer(text.encode(), np.uint8))
    primary.header["VOTMETA"] = True
    out = io.BytesIO()
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(out)
    return out.getvalue()


@each_door
def test_a_votable_in_the_primary_hdu_is_obeyed(read: Reader) -> None:
    columns = [fits.Column(name, "D", array=[0.0]) for name in ("ra", "dec")] + moments()
    systems = TIMESYS.format(name="a", scale="TAI") + '<COOSYS ID="b" system="galactic"/>'
    fields = POSITION.format(more=' ref="b"') + MJD.format(unit="d", more=' ref="a"')
    found = read(fits_plus(columns, fields, systems), "x.fits")
    assert found["mjd"] == [60000 - 37 / 86400]
    assert (found["ra"][0], found["dec"][0]) == GALACTIC_CENTRE
    untied = POSITION.format(more="") + MJD.format(unit="d", more="")
    message = refused(read, fits_plus(columns, untied, systems), "x.fits")
    assert "HDU speaks of times in TAI" in message and "HDU speaks of GALACTIC" in message
    assert "describes other columns" in refused(read, fits_plus(columns[:2], fields, systems), "x.fits")


@each_door
def test_data_that_are_not_those_of_their_checksum_are_refused(read: Reader) -> None:
    out = io.BytesIO()
    table = fits.BinTableHDU.from_columns([fits.Column("energy", "D", array=[1234.5, 1.0])])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(out, checksum=True)
    assert read(out.getvalue(), "x.fits")["energy"] == [1234.5, 1]
    damaged = out.getvalue().replace(np.array(1234.5, ">f8").tobytes(), np.array(1234.625, ">f8").tobytes())
    assert "not those of its checksum (DATASUM)" in refused(read, damaged, "x.fits")
    out = io.BytesIO()
    plain = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    pq.write_table(pa.table({"energy": [1234.5]}), out, write_statistics=False, **plain)
    damaged = out.getvalue().replace(np.array(1234.5).tobytes(), np.array(1234.625).tobytes())
    assert "it is damaged" in refused(read, damaged, "x.parquet")


@each_door
def test_a_missing_value_of_a_float_is_not_one_that_tnull_names(read: Reader) -> None:
    content = fits_file([fits.Column("energy", "D", array=[1.0, -99.0])], TNULL1=-99)
    assert "-99.0 is named as missing (TNULL)" in refused(read, content, "x.fits")
    assert read(fits_file([fits.Column("energy", "D", array=[1.0])], TNULL1=-99), "x.fits")["energy"] == [1]


@each_door
def test_a_mistake_tells_the_value_of_its_own_row(read: Reader) -> None:
    content = fits_file([fits.Column("flag", "L", array=[True, False, True])]).replace(b"TFT\0", b"XFY\0")
    message = refused(read, content, "x.fits")
    assert '"X" is not T, F or 0' in message
    assert '"Y" is not T, F or 0' in message


@each_door
def test_whole_numbers_that_scaling_would_round_are_refused(read: Reader) -> None:
    for keyword, value in (("TZERO1", 0.5), ("TSCAL1", 3.0)):
        content = fits_file([fits.Column("frame", "K", array=[2**53 + 1, 4])], None, **{keyword: value})
        assert "9007199254740993 is too large to be scaled" in refused(read, content, "x.fits")


# What astropy and we ourselves write ----------------------------------------------------------------------------------

ASTROPY = {"x.ecsv": "ascii.ecsv", "x.fits": "fits", "x.parquet": "parquet"}


def astropys(table: Table, name: str, folder: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.write(folder / name, format=ASTROPY[name])
    return bytes((folder / name).read_bytes())


@each_door
@pytest.mark.parametrize("name", ASTROPY)
def test_sky_coordinates_of_astropy_keep_their_frame(read: Reader, name: str, tmp_path: Any) -> None:
    table = QTable({"c": SkyCoord([10] * u.deg, [20] * u.deg, frame="fk4")})
    assert read(astropys(table, name, tmp_path), name)["ra"] == [pytest.approx(10.65897, abs=1e-4)]


@each_door
@pytest.mark.parametrize("name", ASTROPY)
def test_logarithms_are_no_energies(read: Reader, name: str, tmp_path: Any) -> None:
    table = QTable({"energy": u.Magnitude(np.ones(1) * u.mag(u.GeV))})
    assert '"Magnitude", which is not supported' in refused(read, astropys(table, name, tmp_path), name)


@each_door
@pytest.mark.parametrize("name", ASTROPY)
def test_times_of_the_turning_earth_are_refused(read: Reader, name: str, tmp_path: Any) -> None:
    table = Table({"mjd": Time([60000.5], format="mjd", scale="ut1")})
    assert 'in the scale "ut1"' in refused(read, astropys(table, name, tmp_path), name).lower()


@each_door
@pytest.mark.parametrize("name", ASTROPY)
def test_marks_that_astropy_hands_on_are_found(read: Reader, name: str, tmp_path: Any) -> None:
    table = Table({"energy": [1.0]}, meta={"QSTATUS": "OVERFLOW"})
    assert "cut off at a limit" in refused(read, astropys(table, name, tmp_path), name)


def test_missing_parts_of_cells_and_of_times_in_parquet(tmp_path: Any) -> None:
    numbers = MaskedColumn(np.arange(6.0).reshape(2, 3), mask=[[0, 1, 0], [1, 1, 1]])
    moment = Time(["2023-02-25T12:00:00", "2023-02-25T12:00:01"])
    moment[1] = np.ma.masked
    content = astropys(QTable({"amps": numbers, "obs_time": moment}), "x.parquet", tmp_path)
    assert uploaded(content, "x.parquet") == {
        "amps": [[0, None, 2], [None, None, None]],
        "obs_time": [datetime(2023, 2, 25, 12), None],
    }


def test_a_table_without_rows_is_one_in_parquet() -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"energy": pa.array([], pa.float64()), "frame": pa.nulls(0)}), out)
    assert uploaded(out.getvalue(), "x.parquet") == {"energy": [], "frame": []}


@each_door
@pytest.mark.parametrize("name", ASTROPY)
def test_times_of_astropy_stand_beside_quantities(read: Reader, name: str, tmp_path: Any) -> None:
    table = QTable({"obs_time": Time(["2023-02-25T12:00:37"], scale="tai"), "energy": [2.0] * u.GeV})
    found = read(astropys(table, name, tmp_path), name)
    assert found == {"obs_time": [datetime(2023, 2, 25, 12)], "energy": [2.0]}


def ours(name: str) -> bytes:
    """A result with galactic coordinates and Julian dates, under names that mean something else."""
    columns = (
        Column(name="ra", datatype="double", unit="deg", ucd="pos.galactic.lon", frame="GALACTIC"),
        Column(name="dec", datatype="double", unit="deg", ucd="pos.galactic.lat", frame="GALACTIC"),
        Column(name="mjd", datatype="double", unit="d", ucd="time.epoch", time=TimeSystem(JD)),
    )
    cells = [pa.array([0.0]), pa.array([0.0]), pa.array([2460000.5])]
    batch = pa.RecordBatch.from_arrays(cells, names=[column.name for column in columns])
    return b"".join(formats.find(name).write(Result(columns, [batch])))


@each_door
@pytest.mark.parametrize("name", ["votable", "votable/td", "votable/b", "ecsv", "parquet", "arrow"])
def test_systems_of_our_own_results_come_back(read: Reader, name: str) -> None:
    content, extension = ours(name), formats.find(name).extension
    if name == "arrow":  # which is not read again, but saved by others
        out = io.BytesIO()
        pq.write_table(pa.ipc.open_stream(content).read_all(), out)
        content, extension = out.getvalue(), "parquet"
    found = read(content, f"x.{extension}")
    assert (found["ra"][0], found["dec"][0]) == GALACTIC_CENTRE
    assert found["mjd"] == [60000.0]
    described = read_file(io.BytesIO(content), most_rows=100, most_bytes=2**24).columns
    assert [column.ucd for column in described[:2]] == ["pos.eq.ra", "pos.eq.dec"]


def test_another_coordinate_by_its_ucd_is_refused() -> None:
    fields = POSITION.format(more="").replace("pos.eq.ra", "pos.galactic.lon")
    assert 'column ra: its UCD is "pos.galactic.lon;meta.main"' in refused(loaded, votable(fields, "10 20"), "x.vot")
    assert loaded(votable(fields.replace("pos.galactic.lon", "pos_eq_ra"), "10 20"), "x.vot")["ra"] == [10]


def test_what_is_said_of_columns_that_do_not_fit() -> None:
    fields = '<FIELD name="{}" datatype="double"{}/>'
    content = votable(fields.format("energy", "") + fields.format("Energy", ""), "1 2")
    assert 'column "Energy" is one too many' in refused(loaded, content, "x.vot")
    percent = votable(fields.format("frame", ' unit="%"'), "100")
    assert "write whole numbers in a plain number" in refused(loaded, percent, "x.vot")


def test_two_units_of_a_column_of_parquet_are_refused() -> None:
    field = pa.field("energy", pa.float64(), metadata={"unit": "TeV", "units": "GeV"})
    out = io.BytesIO()
    pq.write_table(pa.table([pa.array([1.0])], schema=pa.schema([field])), out)
    says = '"TeV" in one place of the file and "GeV" in another'
    assert says in refused(loaded, out.getvalue(), "x.parquet")


def test_units_that_astropy_tags_are_found() -> None:
    head = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n"
    entry = "# - {name: energy, datatype: float64, unit: !astropy.units.Unit {unit: TeV}}\n"
    assert loaded((head + entry + "energy\n3\n").encode(), "x.ecsv") == {"energy": [3000]}


def test_points_in_radians_are_refused() -> None:
    point = '<FIELD name="p" datatype="double" arraysize="2" xtype="point" unit="{}"/>'
    cells = "<TR><TD>1 0.5</TD></TR>"
    content = votable(point.format("rad"), "").replace(b"<TR></TR>", cells.encode())
    assert "points, circles and polygons are in degrees" in refused(uploaded, content, "x.vot")
    assert uploaded(content.replace(b'"rad"', b'"degree"'), "x.vot") == {"p": [[1, 0.5]]}


@pytest.mark.parametrize("key", ["unit", "units", "Unit"])
def test_units_beside_a_column_of_parquet_are_found(key: str) -> None:
    field = pa.field("energy", pa.float64(), metadata={key: "TeV"})
    out = io.BytesIO()
    pq.write_table(pa.table([pa.array([1.0])], schema=pa.schema([field])), out)
    assert loaded(out.getvalue(), "x.parquet") == {"energy": [1000.0]}
