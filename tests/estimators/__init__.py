"""The estimators for scikit-learn, held by its own checks and tools."""
