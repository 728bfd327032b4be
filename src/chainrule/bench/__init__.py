"""``chainrule bench``: training and inference beside other frameworks.

    workloads.py   what is measured: networks, data, batches, declared once
    peers/         how each framework does it, a file each
    worker.py      one of them in a process of its own
    rounds.py      all of them in turns
    report.py      text, table, plots
"""
