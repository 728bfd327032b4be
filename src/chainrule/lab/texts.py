"""Texts of the lab's page, by key; the page gets them in every language."""

from __future__ import annotations

from chainrule.text import Counted, _, ngettext, translated
from chainrule.text.catalogue import lookup_counted
from chainrule.text.languages import language

_TEXTS = {
    # The page.
    "skip": _("Skip to the run"),
    "language": _("Language"),
    "lost": _("The connection is lost; trying again …"),
    "no_server": _("No lab answers. Start it again, and open the address it prints."),
    "expected": _("expected"),
    "got": _("got"),
    "fix": _("fix"),
    "more": _("More"),
    "others": _("Others"),
    "views": _("Views"),
    "view_network": _("A network"),
    "view_explore": _("Explorations"),
    # The explorations.
    "explore_help": _(
        "The book's questions, each answered by an experiment. What you set, it does "
        "anew: its picture, its table and its sentences are made of what it finds."
    ),
    "explorations": _("Questions"),
    "exploration_done": _("Done"),
    "exploration_settings": _("What may be set"),
    "exploration_quick": _("less of it, and sooner"),
    "exploration_usual": _("As usual"),
    "exploration_unread": _(
        "The link says what does not fit here: {said}. In its place stands what is "
        "usual. There are: {known}."
    ),
    "exploring": _("Measuring …"),
    "explored": _("Measured in {seconds} s"),
    "answer": _("Answer"),
    "expected_else": _("what was expected:"),
    "picture_titled": _("Picture: {title}. Its numbers are in the table below."),
    "numbers_table": _("The numbers as a table"),
    "book_sections": _("book {sections}"),
    # The form.
    "setup": _("Build a network"),
    "opened": _("{name} is open. A network that is built here takes its place."),
    "data": _("Data"),
    "source": _("source"),
    "data_circles": _("circles: one within the other"),
    "data_xor": _("xor: four corners"),
    "data_moons": _("moons: two half circles"),
    "data_spiral": _("spiral: arms"),
    "data_blobs": _("blobs: Gaussians"),
    "data_plane": _("plane: a quantity, inclined"),
    "data_hills": _("hills: a quantity, two hills and two hollows"),
    "data_mnist": _("MNIST: handwritten digits"),
    "layers": _("Layers"),
    "inputs": _("Inputs"),
    "inputs_help": _(
        "What the first layer reads: the two features, and functions of them."
    ),
    "layer_n": _("Layer {n}"),
    "add_dense": _("+ dense layer"),
    "add_layer": _("+ layer"),
    "up": _("up"),
    "down": _("down"),
    "remove": _("remove"),
    "kind": _("kind"),
    "loss": _("Loss"),
    "by_data": _("as the data ask"),
    "optimizer": _("Optimiser"),
    "schedule": _("Schedule of the rate"),
    "constant": _("constant"),
    "training": _("Training"),
    "build": _("Build"),
    "no_number": _("{name}: there is no number here."),
    "building": _("Building …"),
    "building_state": _("A network is being built; what was there stays until then."),
    "cancel": _("Cancel the build"),
    "data_of_file": _("{name}: the data that it gives"),
    "network_of_file": _("{name}: the network of the file"),
    "text": _("text"),
    "network_of_text": _("{name}: a network that reads its characters"),
    "own_layers": _("layers of your own"),
    "file_trainer": _("Loss and optimiser are those of the Trainer in {name}."),
    "opened_text": _("{name}: {parameters}"),
    "opened_inputs": _("{name}: {parameters}; inputs {inputs}"),
    "parameters_n": ngettext("{n} parameter", "{n} parameters", n=2),
    "choose_data": _("Choose data that fit, and build: then it can be run."),
    "picture_of": _("Picture of the network, from its graph"),
    "option_network": _("network"),
    "option_length": _("length"),
    "option_blocks": _("blocks"),
    "option_heads": _("heads"),
    "option_width": _("width"),
    "option_samples": _("samples"),
    "option_copies": _("copies of each corner"),
    "option_noise": _("noise"),
    "option_spread": _("spread"),
    "option_classes": _("classes"),
    "option_limit": _("first samples only"),
    "option_lr": _("rate η"),
    "option_weight_decay": _("weight decay"),
    "option_l1_penalty": _("L1 penalty"),
    "option_momentum": _("momentum"),
    "option_epochs": _("epochs"),
    "option_batch_size": _("batch size"),
    "option_seed": _("seed"),
    "option_out_features": _("units"),
    "option_out_channels": _("channels"),
    "option_kernel_size": _("kernel size"),
    "option_p": _("probability"),
    "option_validation": _("share for validation"),
    "option_test": _("share for the test"),
    # The run.
    "run": _("The run"),
    "train": _("Train"),
    "pause": _("Pause"),
    "go_on": _("Go on"),
    "again": _("Train further"),
    "step": _("Step"),
    "steps": _("steps"),
    "rate_help": _(
        "Another rate counts from the next step on, and is kept in the run."
    ),
    "rate_fixed": _("The rate follows a schedule, or is set where the run is from."),
    "stage": _("State"),
    "stage_ready": _("ready"),
    "stage_training": _("training"),
    "stage_paused": _("paused"),
    "stage_finished": _("finished"),
    "stage_failed": _("stopped by an error"),
    "announce": _("{stage} at step {step}, loss {loss}"),
    "step_axis": _("step"),
    "epoch": _("Epoch"),
    "speed": _("Speed"),
    "steps_a_second": ngettext("{n} step/s", "{n} steps/s", n=2),
    "history": _("Look back"),
    "now": _("Now"),
    "at_step": _("at step {step}"),
    "curves": _("Curves"),
    "loss_curve": _("Loss by step"),
    "loss_of_steps": _("training loss"),
    "as_table": _("The epochs as a table"),
    "column_train_loss": _("training loss"),
    "column_validation_loss": _("validation loss"),
    "column_validation_accuracy": _("validation accuracy"),
    "column_test_accuracy": _("test accuracy"),
    "column_lr": _("rate"),
    "process_lost": _("The training process has ended (code {code})."),
    "process_goes_on": _("'Train further' goes on from {path}"),
    "process_nothing": _("build the network anew; nothing had been saved yet"),
    # A recording.
    "recorded": _(
        "This is a recording of a run: it plays and looks back, and opens some of its "
        "samples. It does not train. To build, train and open up networks of your own: "
        "pip install 'chainrule[lab]', then chainrule lab."
    ),
    "play": _("Play"),
    "recorded_samples": _("In the recording: {rows}"),
    # The network and its output.
    "network": _("The network"),
    "network_text": _(
        "{parameters} · {loss} · {optimizer} · engine {engine} · {sizes}"
    ),
    "parameters": _("parameters"),
    "edit_weights": _("Edit a weight"),
    "edit_weights_help": _(
        "Choose a number here, or click its line. It counts from the next step on; "
        "what the optimiser remembers of it stays."
    ),
    "weight_layer": _("layer"),
    "weight_unit": _("unit"),
    "weight_from": _("from"),
    "weight_of": _("weight {value}: click to edit"),
    "weight_set": _("Set."),
    "bias": _("bias b"),
    "set": _("Set"),
    "edited": ngettext(
        "Edited by hand: {n} number. The checkpoint and ONNX have it; the link, the "
        "run file and the Python program do not, and say so.",
        "Edited by hand: {n} numbers. The checkpoint and ONNX have them; the link, the "
        "run file and the Python program do not, and say so.",
        n=2,
    ),
    "link_edited": _("The link does not have the weights that were edited by hand."),
    "module": _("module"),
    "input": _("input"),
    "unit": _("Unit {name}"),
    "of_units": _("{shown} of {all}"),
    "output": _("What it answers"),
    "answers": _("The class that the network decides for, the darker the surer."),
    "answers_quantity": _(
        "What the network answers: blue above 0, orange below, the darker the farther "
        "from it. Samples have the colour of their truth."
    ),
    "answers_of_unit": _("What unit {unit} of layer {layer} answers."),
    "show_others": _("validation and test samples"),
    "discretize": _("no shades"),
    "show_output": _("Show the whole network"),
    "confusion": ngettext(
        "{share} % of {n} sample is right ({part}, at step {step})",
        "{share} % of {n} samples are right ({part}, at step {step})",
        n=2,
    ),
    "confusion_of_first": _(
        "{share} % of the first {n} samples are right ({part}, at step {step})"
    ),
    "truth_by_decision": _("truth ↓ decision →"),
    "cell": ngettext(
        "{n} sample of {truth} taken for {decided}",
        "{n} samples of {truth} taken for {decided}",
        n=2,
    ),
    "in_cell": ngettext("{n} sample:", "{n} samples; the first {shown}:", n=2),
    # One's own data.
    "drop": _("Drop a CSV file, a text, a ZIP or a folder of images here, or choose:"),
    "choose_files": _("a CSV, text or ZIP file"),
    "choose_folder": _("a folder of images"),
    "no_images": _("There are no images in this folder."),
    "several_places": _(
        "The folders of the classes lie in several folders: {places}. Drop one of them."
    ),
    "uploaded": ngettext("{done} of {n} file", "{done} of {n} files", n=2),
    "examining": _("Reading {name} …"),
    "examined": _("{name}: {rows}, {columns}"),
    "rows_n": ngettext("{n} row", "{n} rows", n=2),
    "columns_n": ngettext("{n} column", "{n} columns", n=2),
    "examined_images": _("{name}: images, one folder a class"),
    "examined_text": _("{name}: a text"),
    "read_text": _("Read its characters"),
    "read_text_help": _(
        "A text can be read character by character: the network learns which one comes "
        "next, and then writes."
    ),
    "use_data": _("Use these data"),
    "target": _("column to predict"),
    "text_column": _("column of sentences"),
    "no_text_column": _("none: the other columns tell"),
    "columns": _("Columns"),
    "column": _("column"),
    "missing": _("missing"),
    "examples": _("examples"),
    "question": _("A question"),
    "kind_number": _("number"),
    "kind_category": _("category"),
    "kind_date": _("date"),
    # Drawing, the doctor, sharing.
    "digit": _("Draw a sample"),
    "digit_help": _(
        "Draw with the pointer, or with Shift and the arrow keys. What is drawn is "
        "scaled and centred as the digits of MNIST are."
    ),
    "digit_canvas": _("Where you draw"),
    "digit_seen": _("What the network sees"),
    "digit_answer": _("{name}, {share} %"),
    "wipe": _("Wipe"),
    "sentence": _("Type a sentence"),
    "sentence_help": _(
        "What the network says to it, and what that depends on. Of classes it is as if "
        "the class that the network decides for were the truth."
    ),
    "sentence_label": _("sentence"),
    "sentence_read": _("Read"),
    "sentence_says": _("The network says: {answer}"),
    "sentence_unknown": _("Not in the vocabulary, and read as □: {tokens}"),
    "sentence_left_out": ngettext(
        "{n} token beyond the network's {length} was left out.",
        "{n} tokens beyond the network's {length} were left out.",
        n=2,
    ),
    "text_of_sample": _("Text: {text}"),
    "writing": _("Let it write"),
    "writing_help": _(
        "The network draws one character after another, each from its probabilities "
        "given those before, by the weights that are shown; training waits meanwhile. "
        "Scores are divided by the temperature: below 1 it writes what is likely, "
        "above 1 what is not."
    ),
    "prompt": _("a beginning to go on from"),
    "count": _("characters"),
    "temperature": _("temperature"),
    "write": _("Write"),
    "foresee": _("What comes next?"),
    "writing_now": _("Writing …"),
    "written_at": _("Written by the weights of step {step}."),
    "written_ended": _("Written to its end, by the weights of step {step}."),
    "written_late": _(
        "Cut off after 20 seconds, so that training goes on; by the weights of step "
        "{step}."
    ),
    "foreseen": _(
        "The likeliest next character is {token}, by the weights of step {step}."
    ),
    "foreseen_left_out": ngettext(
        "The first character is farther back than it sees.",
        "The first {n} characters are farther back than it sees.",
        n=2,
    ),
    "foreseen_help": _(
        "The length of the derivative of −ln p({token}) = {loss} by the row of the "
        "embedding that each character has: what this answer depends on."
    ),
    "attention": _(
        "Whom each token listens to: the shares A of Y = A V, {name}, head {head}"
    ),
    "attention_of": _("the last {shown} of {all} tokens"),
    "doctor": _("The doctor"),
    "doctor_help": _(
        "Tries the run as it is, and changes of it, on copies; the run goes on "
        "meanwhile."
    ),
    "diagnose": _("Examine"),
    "diagnosing": _("Examining; it takes up to a minute …"),
    "healthy": _("Nothing is wrong."),
    "healthy_notes": ngettext(
        "Nothing makes it sick; {n} remark:",
        "Nothing makes it sick; {n} remarks:",
        n=2,
    ),
    "sick": ngettext("{n} finding:", "{n} findings, the likeliest cause first:", n=2),
    "gain": _("tried on a copy: {metric} {gain} better"),
    "try_fix": _("Build with this fix"),
    "share": _("Share"),
    "share_link": _("Copy a link"),
    "share_png": _("Picture (PNG)"),
    "share_svg": _("Picture (SVG)"),
    "share_toml": _("Run file"),
    "share_python": _("Python"),
    "share_onnx": _("ONNX"),
    "share_checkpoint": _("Checkpoint"),
    "share_html": _("The step as a page"),
    "copied": _("The link is copied: it opens this network in another lab."),
    "broken_link": _(
        "The link is not whole, as if it had been cut. Ask for it once more, or build "
        "the network below."
    ),
    "link_of_file": _("A link holds no file: share {name} itself."),
    "link_of_recipe": _("A link holds no recipe: chainrule lab {name} opens it."),
    "written": _("{name} is written."),
    # What a link hides.
    "hidden": _("Parts that this page hides: {n}."),
    "show_all": _("Show everything"),
    "hidden_unknown": _(
        "The link hides parts that this page does not have: {names}. There are: "
        "{known}."
    ),
    "what_shows": _("What this page shows"),
    "what_shows_help": _(
        "A link that is copied hides what is not ticked, and keeps its values. Who "
        "opens it can show everything again."
    ),
    "hide_now": _("Apply to this page"),
    "shown_setup": _("To build"),
    "shown_run": _("The run"),
    "shown_seen": _("What is seen"),
    "shown_asked": _("What is asked"),
    "shown_page": _("The page"),
    "part_setup_setup": _("all of it"),
    "part_setup_upload": _("own data"),
    "part_setup_data": _("data: all of it"),
    "part_setup_source": _("data: source"),
    "part_setup_samples": _("data: how many"),
    "part_setup_noise": _("data: noise"),
    "part_setup_shares": _("data: validation and test"),
    "part_setup_inputs": _("inputs"),
    "part_setup_layers": _("layers"),
    "part_setup_activation": _("activations"),
    "part_setup_loss": _("loss"),
    "part_setup_optimizer": _("optimiser: all of it"),
    "part_setup_rate": _("rate η"),
    "part_setup_regularization": _("regularisation"),
    "part_setup_schedule": _("schedule of the rate"),
    "part_setup_training": _("training: all of it"),
    "part_setup_epochs": _("epochs"),
    "part_setup_batch": _("batch size"),
    "part_setup_seed": _("seed"),
    "part_setup_more": _("“More”"),
    "part_setup_build": _("the button “Build”"),
    "part_run_run": _("all buttons and figures"),
    "part_run_step": _("single steps"),
    "part_run_figures": _("figures"),
    "part_run_history": _("looking back"),
    "part_seen_network": _("the network"),
    "part_seen_weights": _("editing weights"),
    "part_seen_modules": _("table of parameters"),
    "part_seen_output": _("what it answers"),
    "part_seen_confusion": _("confusion matrix"),
    "part_seen_curves": _("curves"),
    "part_seen_epochs_table": _("table of epochs"),
    "part_asked_inside": _("a sample, equation by equation"),
    "part_asked_saliency": _("what the loss depends on"),
    "part_asked_digit": _("drawing a sample"),
    "part_asked_sentence": _("typing a sentence"),
    "part_asked_writing": _("writing"),
    "part_asked_doctor": _("the doctor"),
    "part_asked_share": _("sharing"),
    "part_page_views": _("network and explorations"),
    "part_page_explorations": _("list of explorations"),
    "part_page_sliders": _("sliders of an exploration"),
    "part_page_language": _("language"),
    # Inside.
    "inside": _("One sample, forward and back"),
    "inside_help": _(
        "Every number of a training step, with its formula. Click a number: its path "
        "to the loss shows, and the chain rule back."
    ),
    "saliency": _("What the loss depends on"),
    "saliency_help": _(
        "The size of the derivative of the loss by each number of the sample, in "
        "evaluation mode (dropout off, batch normalisation with its running "
        "statistics): how much the loss changes where that number does. There the loss "
        "is {loss}. Click one for its path."
    ),
    "saliency_tokens_help": _(
        "The length of the derivative of the loss by the row of the embedding that "
        "each token has, in evaluation mode: how much the loss changes where that row "
        "does. There the loss is {loss}."
    ),
    "saliency_first": _("the largest {shown} of {all}"),
    "saliency_none": _("This network reads no numbers and no tokens by themselves."),
    "token": _("token"),
    "unknown_token": _("unknown"),
    "path_evaluated": _("in evaluation mode"),
    "part": _("data"),
    "sample": _("sample"),
    "open_sample": _("Open"),
    "first": _("First"),
    "back": _("Back"),
    "next": _("Next"),
    "to_end": _("All"),
    "part_train": _("training"),
    "part_validation": _("validation"),
    "part_test": _("test"),
    "validation": _("validation"),
    "sample_text": _(
        "Sample {row} ({part}), truth {label}, weights of step {step}: ℒ = {loss}"
    ),
    "book": _("book {section}"),
    "equation_of": _("{n} of {all} · {direction}, layer {layer}: {text}"),
    "fold": _("{direction}, layer {layer}"),
    "direction_input": _("given"),
    "direction_parameter": _("parameter"),
    "direction_forward": _("forward"),
    "direction_backward": _("backward"),
    "direction_update": _("update"),
    "cut": _(" (the first {rows} × {columns} are shown)"),
    "largest": _("{shape}, largest {most}"),
    "picture_help": _(
        "picture of {shape} numbers; arrow keys move, Enter opens a path"
    ),
    "number": _("number"),
    "value": _("value"),
    "formula": _("formula"),
    "derivative": _("∂ℒ/∂ of it"),
    "terms": _("terms of the chain rule"),
    "more_terms": ngettext("and {n} more term", "and {n} more terms", n=2),
    "path_of": _("{name} = {value}, ∂ℒ/∂{name} = {gradient}"),
    "path": _("The path of a number"),
    "path_forward": _("Forward: what is computed from it, in float64"),
    "path_backward": _("Backward: the chain rule, from the loss to it"),
}


def texts(name: str) -> dict[str, str | dict[str, str]]:
    """Return what the page says in a language, by key.

    One with a count is there by Unicode's categories of plurals: ``one``, ``other``.

    >>> texts("en")["train"]
    'Train'
    >>> texts("en")["rows_n"]
    {'one': '{n} row', 'other': '{n} rows'}
    """
    with language(name):
        return {key: _said(text) for key, text in _TEXTS.items()}


def _said(text: str) -> str | dict[str, str]:
    if not isinstance(text, Counted):
        return translated(text)
    one, other = (lookup_counted(text.singular, text.plural, n) for n in (1, 2))
    return {"one": one, "other": other}
