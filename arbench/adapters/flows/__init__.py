"""Density estimators of zuko and nflows: flows as stacks of layers, whose package is imported where one is named."""

from arbench.adapters.flows.adapted import adapted as adapted
