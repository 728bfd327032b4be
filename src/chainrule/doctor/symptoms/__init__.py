"""The symptoms that the doctor knows, one in each file.

Each file has a rule, its thresholds with where they come from, and a sick and a healthy
example: see :mod:`chainrule.doctor.registry`.
"""
