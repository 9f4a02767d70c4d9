"""The settings that depend on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from km3vo.catalog.files import read_catalog
from km3vo.cluster import settings
from km3vo.cluster.settings import GIB, MIB, as_text, available_memory, memory, process_memory
from km3vo.database.logins import LOGINS, OBSERVERS, Database
from km3vo.service import AUDIENCES, Service
from km3vo.settings import Settings


@pytest.mark.parametrize(
    ("bytes", "shared", "work", "maintenance"),
    [
        (GIB, "256MB", "4MB", "64MB"),
        (16 * GIB, "4096MB", "40MB", "1024MB"),
        (512 * GIB, "8192MB", "64MB", "1024MB"),
    ],
)
def test_memory_grows_with_the_machine_within_bounds(bytes: int, shared: str, work: str, maintenance: str) -> None:
    values = memory(bytes)
    assert (values["shared_buffers"], values["work_mem"], values["maintenance_work_mem"]) == (shared, work, maintenance)


def test_no_more_memory_is_counted_than_there_is() -> None:
    assert 64 * MIB < available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_folder_with_quotes_stays_one_value() -> None:
    values = settings.settings(Path("/it's"), Path("/it's/socket"), throwaway=True)
    text = as_text(values, Path("/it's/own.conf"))
    assert "unix_socket_directories = '/it''s/socket'" in text
    assert "include_if_exists = '/it''s/own.conf'" in text


@pytest.mark.parametrize(("bytes", "own"), [(GIB // 2, GIB), (32 * GIB, 2 * GIB), (512 * GIB, 4 * GIB)])
def test_a_process_has_a_part_of_the_memory_beside_what_is_shared(bytes: int, own: int) -> None:
    assert process_memory(bytes, 2 * GIB) == 2 * GIB + GIB // 2 + own


@pytest.mark.parametrize("workers", [1, 4])
def test_there_are_connections_for_all_server_processes(workers: int, tmp_path: Path) -> None:
    """Four processes wanted more than the hundred that there were: 337 of 360 queries failed."""
    told = Settings(home=tmp_path, workers=workers)
    service = Service(
        told, Database("dbname=none", dict.fromkeys((*LOGINS, OBSERVERS), "x")), read_catalog(told.schemas)
    )
    pools = [service.pool, service.pages]
    for audience in AUDIENCES:
        reader = service.readers[audience]
        assert reader._planner is not None
        pools += [reader._pool, reader._planner._pool]
    wanted = sum(pool._pool.max_size for pool in pools) + 2  # pulse, signals
    wanted += sum(service.readers[audience]._streams.most for audience in AUDIENCES) + service.uploads._pool.most
    wanted += len(service.schedule.tasks) + 4  # downloads
    values = settings.settings(tmp_path, tmp_path, throwaway=True, connections=told.connections)
    assert workers * wanted + 5 <= int(values["max_connections"]) <= 200 * workers
