"""The settings that depend on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from km3vo.store import cluster_settings
from km3vo.store.cluster_settings import GIB, MIB, as_text, available_memory, memory


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
    values = cluster_settings.settings(Path("/it's"), Path("/it's/socket"), throwaway=True)
    text = as_text(values, Path("/it's/own.conf"))
    assert "unix_socket_directories = '/it''s/socket'" in text
    assert "include_if_exists = '/it''s/own.conf'" in text
