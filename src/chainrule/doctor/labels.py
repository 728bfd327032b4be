"""The words for what a diagnosis names by key: evidence, scores, parts, curves.

Keys are stable, in snake case, and stand in JSON; people read the labels, in the
language in use. A symptom that measures something new adds its key here.
"""

from __future__ import annotations

from chainrule.text import _, tr, translated

#: Scores, as :attr:`~chainrule.doctor.Comparison.metric` names them.
METRICS = {
    "accuracy": _("accuracy"),
    "r2": _("R²"),
    "share_of_loss_gone": _("share of the loss that is gone"),
}
#: What a score is of: behind the key of a metric and an underscore.
SCORES = {
    "as_asked": _("{metric} as asked"),
    "with_change": _("{metric} with the change"),
    "of_run": _("{metric} of the run"),
    "of_constant_answer": _("{metric} of a constant answer"),
    "of_best_reference": _("{metric} of the best reference"),
    "of_best_seed": _("{metric} with the best seed"),
    "of_worst_seed": _("{metric} with the worst seed"),
    "among_held_out_rows": _("{metric} of held-out rows by others of them"),
    "of_standard_network": _("{metric} of a standard network"),
    "of_half_of_the_rows": _("{metric} of one of half of the rows"),
    "of_twice_the_rows": _("{metric} of one of twice the rows, by a power law"),
    "of_as_many_held_out_rows": _("{metric} by as many of them as training rows"),
}
#: Evidence of findings.
EVIDENCE = {
    **METRICS,
    **{
        f"{metric}_{of}": template.format(metric=label)
        for metric, label in METRICS.items()
        for of, template in SCORES.items()
    },
    "seeds": _("seeds"),
    "trial_steps": _("steps of the trial runs"),
    "asked_steps": _("steps that were asked for"),
    # refusals
    "refused": _("refused"),
    "expected": _("expected"),
    "got": _("got"),
    # data
    "rows": _("rows"),
    "rows_looked_at": _("rows looked at"),
    "first_seen_in": _("first seen in the outputs of"),
    "columns": _("columns"),
    "constant_columns": _("constant columns"),
    "repeated_columns": _("pairs of equal columns"),
    "columns_that_are_the_target": _("columns that are the target"),
    "held_out_rows": _("held-out rows"),
    "validation_rows": _("validation rows looked at"),
    "share_of_validation_rows_trained_on": _(
        "share of validation rows that are training rows"
    ),
    "share_of_training_rows_repeated": _("share of training rows that repeat one"),
    "share_of_training_rows_neighbours_contradict": _(
        "share of training rows that their neighbours contradict"
    ),
    "share_of_held_out_rows_neighbours_contradict": _(
        "share of held-out rows that their neighbours contradict"
    ),
    "non_finite_numbers_of_x": _("numbers of x that are not finite"),
    "non_finite_numbers_of_y": _("numbers of y that are not finite"),
    "rows_of_x_with_one": _("rows of x with one"),
    "rows_of_y_with_one": _("rows of y with one"),
    "distinct_values": _("distinct values"),
    "step_of_values": _("their step"),
    "largest_mean_or_deviation": _("largest mean or standard deviation"),
    "largest_deviation": _("largest standard deviation"),
    "smallest_deviation": _("smallest standard deviation"),
    "largest_mean_in_deviations": _("largest mean, in standard deviations"),
    "deviations_to_those_of_held_out_rows": _(
        "standard deviations, as a multiple of those of held-out rows"
    ),
    "means_apart_in_deviations": _("means apart, in standard deviations"),
    # targets
    "only_target": _("the only target"),
    "distinct_targets": _("distinct targets"),
    "shape_of_outputs": _("shape of the outputs"),
    "shape_of_targets": _("shape of the targets"),
    "share_of_rows_with_several_labels": _("share of rows with several labels"),
    "share_of_rows_without_a_label": _("share of rows without a label"),
    "least_label": _("least label"),
    "greatest_label": _("greatest label"),
    "classes_not_trained_on": _("classes that no training row has"),
    "share_of_held_out_rows_of_them": _("share of held-out rows that are of them"),
    "rows_out_of_range": _("rows with such a label"),
    "share_of_held_out_rows_of_rare_classes_lost": _(
        "share of held-out rows that are of rare classes and taken for others"
    ),
    "rows_of_largest_class": _("rows of the largest class"),
    "rows_of_smallest_class": _("rows of the smallest class"),
    "share_of_largest_class": _("share of the largest class"),
    "share_of_targets_below_0": _("share of targets below 0"),
    "share_of_targets_out_of_reach": _("share of targets out of reach"),
    "least_target": _("least target"),
    "greatest_target": _("greatest target"),
    # the network
    "outputs": _("outputs"),
    "output_of_every_row": _("the output for every row"),
    "layers": _("layers"),
    "products_in_a_row": _("products one behind another"),
    "nonlinear_operations": _("nonlinear operations"),
    "applied_twice": _("applied twice"),
    "share_of_dead_units": _("share of units that are 0 for all rows"),
    "share_of_outputs_at_ends": _("share of outputs at the ends of their range"),
    "share_of_outputs_out_of_range": _("share of outputs outside their range"),
    "share_of_outputs_that_are_0": _("share of outputs that are 0"),
    "change_by_other_rows": _(
        "change of a row's outputs by the other rows, in standard deviations of outputs"
    ),
    "change_by_order": _("change by the order of the rows"),
    # initial weights
    "layers_of_equal_units": _("layers whose units are equal"),
    "still_equal_after_trial": _("of these still equal after the trial"),
    "first_weight": _("the first weight"),
    "gain_of_weights": _("std(W)·√(inputs)"),
    "layers_out_of_range": _("layers out of range"),
    "output_deviation_at_first_step": _(
        "standard deviation of its outputs at the first step"
    ),
    # losses and gradients
    "loss": _("loss"),
    "train_loss": _("training loss"),
    "validation_loss": _("validation loss"),
    "loss_at_first_step": _("loss at the first step"),
    "loss_at_end": _("loss at the end"),
    "loss_of_wrong_answers": _("loss of wrong answers"),
    "loss_of_undecided_answers": _("of undecided ones"),
    "loss_of_right_answers": _("of right ones"),
    "loss_with_targets_in_another_order": _("loss with targets in another order"),
    "share_of_outputs_without_derivative": _(
        "share of outputs by which the loss has no derivative"
    ),
    "share_of_rows_without_derivative": _("share of rows by whose outputs it has none"),
    "loss_at_targets": _("loss of the targets themselves"),
    "loss_half_a_deviation_off": _("half a standard deviation off"),
    "loss_1_deviation_off": _("a standard deviation off"),
    "loss_2_deviations_off": _("two standard deviations off"),
    "loss_at_asked_rate": _("loss at the asked rate in short trials of rates"),
    "loss_at_other_rate": _("the least loss of these trials at another rate"),
    "other_rate_factor": _("that trial's rate, as a multiple of yours"),
    "factor_of_fix": _("the fix's rate, tried in whole runs, as a multiple of yours"),
    "loss_at_first_steps": _("loss at the first steps"),
    "loss_now": _("now"),
    "least_loss": _("least loss"),
    "deviation_at_first_steps": _("its standard deviation at the first steps"),
    "deviation_now": _("its standard deviation now"),
    "loss_of_one_batch": _("loss of one batch"),
    "loss_after_updates_on_it": _("after updates on it alone"),
    "loss_of_third_quarter": _("loss of the third quarter"),
    "loss_of_last_quarter": _("loss of the last quarter"),
    "least_validation_loss": _("least validation loss"),
    "epoch_of_least": _("in epoch"),
    "last_validation_loss": _("last validation loss"),
    "share_of_gain_lost_again": _("share of the gain that is lost again"),
    "train_loss_in_that_epoch": _("training loss in that epoch"),
    "last_train_loss": _("last training loss"),
    "grad_norm": _("‖∂L/∂θ‖"),
    "grad_norm_of_layers": _("‖∂L/∂W‖"),
    "grad_norm_at_first_step": _("‖∂L/∂θ‖ at the first step"),
    "grad_norm_at_first_steps": _("‖∂L/∂W‖ at the first steps"),
    "largest_grad_norm": _("‖∂L/∂θ‖ at most"),
    "median_grad_norm": _("its median"),
    "step_of_largest": _("at step"),
    "grad_norm_of_first_weights": _("‖∂L/∂W‖ of the first weights"),
    "grad_norm_of_last_weights": _("‖∂L/∂W‖ of the last weights"),
    "grad_norm_ratio": _("their ratio"),
    # the plan
    "parameters": _("parameters"),
    "parameters_without_gradient": _("parameters without a gradient"),
    "number_that_repeats": _("the number that repeats"),
    "share_of_numbers_that_are_it": _("share of the numbers"),
    "columns_with_it": _("columns with it"),
    "rows_of_length_1": _("rows of length 1"),
    "rows_from_0_to_1": _("rows from 0 to 1"),
    "unchanged": _("parameters that no step changed"),
    "norm_at_start": _("‖θ‖ at the start"),
    "norm_now": _("‖θ‖ now"),
    "frozen_parameters": _("frozen parameters"),
    "updates": _("updates of the run"),
    "updates_per_epoch": _("updates an epoch"),
    "batch_size": _("batch size"),
    "epochs": _("epochs"),
    "l1_penalty": _("L1 penalty"),
    "weight_decay": _("weight decay λ"),
    "decay_to_gradient_at_first_step": _("λ‖W‖/‖∂L/∂W‖ at the first step"),
    "dropout": _("dropout"),
    "dropout_layers": _("layers of dropout"),
    # numbers that are not finite
    "step": _("step"),
    "operation": _("operation"),
    "non_finite_numbers": _("numbers that are not finite"),
    "numbers": _("of numbers"),
    "pass": _("pass"),
    "first_seen": _("first seen"),
}
#: Values of evidence that are words.
VALUES = {
    "forward": _("forward"),
    "backward": _("backward"),
    "update": _("update"),
}
#: What was looked at, and what was not.
PARTS = {
    "data": _("data"),
    "stream": _("stream"),
    "columns": _("columns"),
    "held_out_rows": _("held-out rows"),
    "validation": _("validation"),
    "network": _("network"),
    "initial_weights": _("initial weights"),
    "weights": _("weights"),
    "trial_run": _("trial run"),
    "whole_run": _("whole run"),
    "rows": _("rows"),
    "score": _("score"),
    "rates": _("rates"),
    "schedule": _("schedule"),
    "one_batch": _("one batch"),
    "seeds": _("seeds"),
    "standard": _("a standard network"),
    "among": _("held-out rows by others of them"),
    "signal": _("signal"),
    "learning_curve": _("learning curve"),
    "stopping": _("early stopping"),
    "changes": _("changes"),
    "loss": _("loss"),
    "units": _("units"),
    "rest": _("the rest"),
}
#: What may be wrong.
COMPONENTS = {
    "data": _("data"),
    "preprocessing": _("preprocessing"),
    "labels": _("labels"),
    "architecture": _("architecture"),
    "activation": _("activation"),
    "initialisation": _("initialisation"),
    "loss": _("loss"),
    "optimizer": _("optimizer"),
    "learning-rate": _("learning rate"),
    "batch-size": _("batch size"),
    "epochs": _("epochs"),
    "regularisation": _("regularisation"),
    "numerics": _("numerics"),
}
#: What the numbers of a curve are counted by; of others it is the step.
ACROSS = {
    "train_loss": _("epoch"),
    "validation_loss": _("epoch"),
    "grad_norm_of_layers": _("layer with weights"),
}


def evidence(key: str, steps: int | None = None, asked: int | None = None) -> str:
    """Return the label of a piece of evidence, in the language in use.

    ``steps``, ``asked``: of the runs of a score, and of the run that was asked for.

    >>> evidence("accuracy_with_change"), evidence("gain_of_weights")
    ('accuracy with the change', 'std(W)·√(inputs)')
    >>> evidence("accuracy_as_asked", 126, 504)
    'accuracy as asked, at step 126 of 504'
    """
    label = translated(EVIDENCE[key])
    if not key.endswith("_as_asked") or steps is None or asked is None:
        return label
    if steps >= asked:
        return label
    return tr("{label}, at step {n:,} of {asked:,}", label=label, n=steps, asked=asked)


def part(key: str) -> str:
    """Return the label of a part that was looked at, or was not."""
    return translated(PARTS[key])


def component(key: str) -> str:
    """Return the name of a component for people."""
    return translated(COMPONENTS[key])


def across(key: str) -> str:
    """Return what the numbers of a curve are counted by, in the language in use."""
    return translated(ACROSS[key]) if key in ACROSS else tr("step")
