"""Correctness of models in plain words: the answer, what was checked, what was not, and what to do."""

from arbench.report.models.verify.correctness import Correctness as Correctness
from arbench.report.models.verify.correctness import correctness as correctness
from arbench.report.models.verify.correctness import exit_code as exit_code
from arbench.report.models.verify.lines import lines as lines
