"""What is measured: Conclave, and everything it is measured beside."""

from .base import Peer, Setup, Unavailable
from .conclave import Conclave, ConclaveKeeping, ConclaveOneKey, ConclaveWithoutJournal, Direct
from .gateways import Bifrost, LiteLlm, LlamaSwap, Olla, Portkey
from .servers import Caddy, Envoy, Haproxy, Nginx, Traefik

# In the order of the tables.
ALL: list[type[Peer]] = [
    Direct,
    Conclave,
    Nginx,
    Haproxy,
    Caddy,
    Traefik,
    Envoy,
    Olla,
    Bifrost,
    LlamaSwap,
    Portkey,
    LiteLlm,
]

__all__ = [
    "ALL",
    "ConclaveKeeping",
    "ConclaveOneKey",
    "ConclaveWithoutJournal",
    "Peer",
    "Setup",
    "Unavailable",
]
