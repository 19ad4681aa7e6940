"""The gate: is this version as good as that one, in exact counters and in times taken in turns?"""
