"""The pages need what the registry's tests need."""

from tests.registry.conftest import announced, registry, schemas

__all__ = ["announced", "registry", "schemas"]
