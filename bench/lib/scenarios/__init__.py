"""The scenarios, in the order they are run and reported."""

from types import ModuleType

from . import aggregate, cancel, capture, http2, idle, keys, long, reload, router, small, streams

ALL: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (keys, small, http2, streams, capture, long, reload, cancel, idle, aggregate, router)
}
