"""Autoregressive generators, one file each; ``resolve`` finds one by the name a user types."""

from arbench.models.base import FAMILIES as FAMILIES
from arbench.models.base import Claim as Claim
from arbench.models.base import Context as Context
from arbench.models.base import Source as Source
from arbench.models.base import StateError as StateError
from arbench.models.base import lecun_normal_ as lecun_normal_
from arbench.models.registry import Chosen as Chosen
from arbench.models.registry import ModelError as ModelError
from arbench.models.registry import NoModelError as NoModelError
from arbench.models.registry import may_own_methods as may_own_methods
from arbench.models.registry import names as names
from arbench.models.registry import resolve as resolve
from arbench.models.weights import WeightsError as WeightsError
from arbench.models.weights import load as load
from arbench.models.weights import save as save
