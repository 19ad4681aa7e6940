"""The hall where systems and instruments meet: plans, workers that verify and time, the supervisor."""
