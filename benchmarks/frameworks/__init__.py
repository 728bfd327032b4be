"""Training and inference beside other frameworks: what ``chainrule bench`` runs.

workloads.py   what is measured: networks, data, batches, declared once
peers/         how each framework does it, a file each
worker.py      one of them at one workload, in a process of its own
rounds.py      all of them in turns
report.py      text, table, plots
"""
