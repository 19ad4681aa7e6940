"""The room where systems and instruments meet: plans, workers that verify and time, and their supervisor."""
