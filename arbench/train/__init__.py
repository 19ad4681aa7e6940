"""Training of models: the loop, held-out quality, distillation. It knows models, methods and data, and no clocks."""

from arbench.train.likelihood import Likelihood as Likelihood
from arbench.train.loop import Progress as Progress
from arbench.train.loop import Trained as Trained
from arbench.train.loop import TrainError as TrainError
from arbench.train.loop import train as train
from arbench.train.quality import Quality as Quality
from arbench.train.quality import measured as measured
from arbench.train.recipe import Recipe as Recipe
