"""A long run: programs, clients, samples, a verdict."""

from .run import main

__all__ = ["main"]
