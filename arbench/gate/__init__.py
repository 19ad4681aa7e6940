"""Gate: compares versions of arbench in exact counters (``counters``) and in times (``timing``)."""
