"""Programs that import torch: see test_scripts.py."""
