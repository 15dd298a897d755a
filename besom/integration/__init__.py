"""Loggers for training libraries that bring none of their own: keras, xgboost, lightgbm and scikit-learn.

Each module is for one library. They log to the active run, under the names that W&B's callbacks use.
"""
