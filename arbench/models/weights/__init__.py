"""Weights on disk: safetensors files, and checkpoints, which also say what they are the weights of."""

from arbench.models.weights.checkpoint import Checkpoint as Checkpoint
from arbench.models.weights.checkpoint import Data as Data
from arbench.models.weights.checkpoint import Quality as Quality
from arbench.models.weights.checkpoint import read as read
from arbench.models.weights.checkpoint import write as write
from arbench.models.weights.files import WeightsError as WeightsError
from arbench.models.weights.files import load as load
from arbench.models.weights.files import rounded as rounded
from arbench.models.weights.files import save as save
from arbench.models.weights.files import stored as stored
