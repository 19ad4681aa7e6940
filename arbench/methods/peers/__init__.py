"""Other people's implementations of models that arbench has, run as methods of ours."""

from arbench.methods.peers.peer import Peer as Peer
from arbench.methods.peers.peer import PeerError as PeerError
from arbench.methods.peers.registry import adapter_of as adapter_of
from arbench.methods.peers.registry import peer_at as peer_at
from arbench.methods.peers.registry import peer_spec as peer_spec
from arbench.methods.peers.registry import place_of_peer as place_of_peer
from arbench.methods.peers.registry import resolve as resolve
from arbench.methods.peers.registry import shipped as shipped
