"""Reading and cleaning of recipes' data: corpora, first names, scores, recordings.

Networks, training and drawings stand elsewhere.
"""
