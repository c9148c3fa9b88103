"""records below results/ -> docs/results.md: the questions of the experiments and their answers.

All numbers and verdicts are computed from the records. Experiments without records are named as
not trained yet.
"""

from collections.abc import Callable

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import enumeration
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Paragraph
from scripts.publish.architecture_sections import architectures, cells, influence
from scripts.publish.experiments import commands
from scripts.publish.pooling_sections import padding, pooling
from scripts.publish.recipe_sections import baselines, contributions, recipe, vectors
from scripts.publish.trained import comparison_of
from scripts.publish.wording import published_list, titled_list

INTRODUCTION = (
    "Scores are accuracies in per cent on the 25,000 test reviews of IMDB, unless a column says "
    "otherwise. ± is the standard deviation over seeds. A 95 % interval covers the variance of "
    "seeds and of test reviews, which are sampled by film; with a single seed, only that of test "
    "reviews. Intervals of differences and p-values are corrected together for all comparisons "
    "that answer a question ([how](statistics.md)). The interval of the best network of a sweep "
    "has a lower end that allows for its choice. Epochs were selected by validation accuracy, "
    "and no setting was selected by test accuracy. Published results are those of other programs "
    "with other settings, trained once: a difference from them has more than one cause. "
    "[results/](../results) contains the records and predictions, from which `make results` makes "
    "a report with all plots for each experiment. [accuracy.md](accuracy.md) says what was tried "
    "on the validation set."
)
Section = Callable[[Comparison], list[Block]]
QUESTIONS: dict[str, tuple[str, Section]] = {  # question -> experiment, section
    "What does pooling add to an LSTM's last state?": ("pooling", pooling),
    "Where did the published 77 % come from?": ("pooling", padding),
    "LSTM or GRU?": ("lstm_vs_gru", cells),
    "Which architecture is best for its size?": ("architectures", architectures),
    "How far back does each architecture remember?": ("architectures", influence),
    "How accurate is the Keras recipe?": ("keras_lstm", recipe),
    "How accurate is a BiLSTM with word vectors and few labels?": ("glove_bilstm", recipe),
    "What do cell, direction, depth and head contribute?": ("grid", contributions),
    "How accurate is a recurrent network trained on the labels alone?": ("best_scratch", recipe),
    "How much do word vectors trained on the reviews add?": ("best_vectors", vectors),
    "How accurate is a network that starts from a language model?": ("best_cpu", recipe),
}


def results_page() -> list[Block]:
    """Return the blocks of the page."""
    blocks: list[Block] = [Heading("Results", 1), Paragraph(INTRODUCTION)]
    noted = set()  # experiments whose notes are on the page, since two questions may share one
    for question, (experiment, section) in QUESTIONS.items():
        blocks.append(Heading(question))
        comparison = comparison_of(experiment)
        if comparison is None:
            blocks.append(Paragraph(f"Not trained yet: `experiment={experiment}`."))
            continue
        typed = [f"`{plain(command)}`" for command in commands(experiment, comparison.networks)]
        blocks.append(Paragraph(f"Trained by {enumeration(typed)}."))
        blocks += section(comparison)
        if experiment not in noted:
            blocks += published_list(comparison)
            blocks += titled_list("Notes:", comparison.notes)
        noted.add(experiment)
    return [*blocks, Heading("How do the networks compare with n-gram baselines?"), *baselines()]
