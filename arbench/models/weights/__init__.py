"""Weights on disk: safetensors files, and checkpoints, which also say what they are the weights of."""

from arbench.models.weights.checkpoint import Checkpoint as Checkpoint
from arbench.models.weights.checkpoint import Data as Data
from arbench.models.weights.checkpoint import Decoded as Decoded
from arbench.models.weights.checkpoint import Quality as Quality
from arbench.models.weights.checkpoint import read as read
from arbench.models.weights.checkpoint import write as write
from arbench.models.weights.files import WeightsError as WeightsError
from arbench.models.weights.files import load as load
from arbench.models.weights.files import rounded as rounded
from arbench.models.weights.files import save as save
from arbench.models.weights.files import stored as stored
from arbench.models.weights.trained import NoWeightsError as NoWeightsError
from arbench.models.weights.trained import Trained as Trained
from arbench.models.weights.trained import candidates as candidates
from arbench.models.weights.trained import differences as differences
from arbench.models.weights.trained import draft_for as draft_for
from arbench.models.weights.trained import in_words as in_words
from arbench.models.weights.trained import shipped as shipped
from arbench.models.weights.trained import spec_of as spec_of
