"""Charts of scikit-learn models: `plot_classifier(...)` and its like, each logged to the active run.

Every `plot_x` also returns its chart. A model that a chart needs fitted in another way is cloned first.
"""

from besom.integration.sklearn.classifiers import (
    plot_calibration_curve,
    plot_class_proportions,
    plot_classifier,
    plot_confusion_matrix,
    plot_precision_recall,
    plot_roc,
)
from besom.integration.sklearn.clusterers import plot_clusterer, plot_elbow_curve, plot_silhouette
from besom.integration.sklearn.estimators import plot_feature_importances, plot_learning_curve, plot_summary_metrics
from besom.integration.sklearn.regressors import plot_outlier_candidates, plot_regressor, plot_residuals

__all__ = [
    "plot_calibration_curve",
    "plot_class_proportions",
    "plot_classifier",
    "plot_clusterer",
    "plot_confusion_matrix",
    "plot_elbow_curve",
    "plot_feature_importances",
    "plot_learning_curve",
    "plot_outlier_candidates",
    "plot_precision_recall",
    "plot_regressor",
    "plot_residuals",
    "plot_roc",
    "plot_silhouette",
    "plot_summary_metrics",
]
