"""Other people's implementations of models that arbench has, run as methods of ours."""

from arbench.adapters.peer import Peer as Peer
from arbench.adapters.peer import PeerError as PeerError
from arbench.adapters.registry import adapter_of as adapter_of
from arbench.adapters.registry import resolve as resolve
from arbench.adapters.registry import shipped as shipped
