"""The processes that measure: one end in the run, which starts and supervises them, and the other in the worker."""
