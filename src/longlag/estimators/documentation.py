"""What the docstrings of the estimators say alike: written once here, and put where a docstring names it."""

from __future__ import annotations

import textwrap
from typing import TypeVar

from longlag.optimizers import naming_optimizers

__all__ = ["SHARED", "documented"]

Kind = TypeVar("Kind", bound=type)

SHARED = {
    "sequence_network": """
        n_networks : int
            Networks of different seeds.
        {network}
        bidirectional : bool
            A second LSTM reads backwards. The output units then see each direction after it has read the whole
            sequence.
        """,
    "network": """
        hidden_size, num_layers : int
            Memory cells per layer and direction; layers.
        cell : CellSpec or None
            Gates, blocks, peepholes, squashings, sharpness. None is torch.nn.LSTM's cell.
        dropout : float
            Probability of dropping a cell's output between layers, while training; needs more than one layer.
        """,
    "training": """
        optimizer : str
            One of
            {optimizers}.
            Batch methods (``longlag.optim``), which are {methods},
            take no learning rate, dropout or truncated gradient. "levenberg_marquardt" is for up to 4,000 weights.
        optimizer_options : mapping or None
            Options of the optimiser by name, as in ``longlag.training.TrainingConfig``: {"history_size": 5} of "lbfgs".
        weight_decay : float
            Pulls weights towards 0. It must be 0 for the batch methods.
        max_epochs : int or None
            Passes over the training part; for a batch method that sees it as one batch, iterations. None makes about
            500 updates of each network in 50 to 100 passes; of a forecaster's, 270 in 2 to 120.
        gradient : {"full", "truncated", "rtrl"}
            Which paths of the error are followed (see longlag.gradients). "rtrl" is exact and slow, and needs an LSTM
            that reads forward only.
        clip_norm : float, "auto" or None
            Largest Euclidean norm of the gradient. "auto" is 1, and None for the batch methods.
        """,
    "run": """
        random_state : int, RandomState or None
            Decides every random choice: initial weights, batches, dropout, what is set aside. The same number gives the
            same bits.
        device : "cpu", "cuda", "cuda:1", "auto" or torch.device
            Where the networks learn; "auto" is a GPU where there is one. They answer, and are kept and saved, on the
            CPU. On a GPU the bits are other ones.
        executor : Executor or None
            Its workers compute losses and gradients, as in ``longlag.distributed.ProcessExecutor(4)``. The bits do not
            depend on the workers or their number, and differ in the last place from those of None, which computes in
            this process. The executor stays open.
        callbacks : list of longlag.training.Callback or None
            Are told when the training of each network starts, after each batch and epoch, and when it ends; they change
            no bit of it, but may ask to stop. They are not saved.
        run_dir : path or None
            A directory for checkpoints and history while training.
        resume : bool
            Continue the run in ``run_dir``, bit for bit; needs a number as ``random_state``. With a larger
            ``max_epochs`` it trains on, as if it had had them from the start; a schedule stays at its end.
        verbose : bool
            Show a progress bar.
        """,
    "fitted": """
        networks_ : list of longlag.Network, in eval mode, of torch's default precision at the time of ``fit``
        network_ : the first of them
        history_ : list of dict, one for each of its epochs
        n_epochs_, best_epoch_ : int, the epochs it was trained, and the one whose weights it has
        seed_ : int, drawn from ``random_state``
        """,
    "sequences": """
        X may be a table (n, d), whose rows are sequences of d steps of one feature; a 3-D array (n, T, F); or a list of
        (T_b, F) or (T_b,) arrays of unequal length. In predictions, lengths may differ from those in ``fit``, except
        that a model fitted on a table wants tables with as many columns. Or X is a long table with a row for each step,
        whose columns ``fit`` is told: the sequence that a row belongs to, its time, and what is to be answered.

        Forget gates start so that the cells' memories reach from two steps to the longest sequence
        (longlag.nn.init.chrono_); without forget gates, input gates start almost shut (longlag.nn.init.shut_).
        """,
    "sequence_training": """
        learning_rate : float, Schedule or None
            None goes from 0.01 to 0.0001 along a cosine; no learning rate for the batch methods.
        batch_size : int or None
            Sequences of an update. None is a fifth of them, at least 4 and at most 32; all for "lbfgs" and "cg"; all of
            up to 1,000 for "hessian_free" and "levenberg_marquardt", of more equal batches of no more than that.
        patience : int or None
            Stop after so many epochs without a better validation loss (training loss if there is no validation part).
            The loss of a task with long lags may stay flat for long: then choose a large one, or None for never.
        validation_fraction : float or None
            Share of the sequences, of every class alike, that is set aside; the weights of the epoch that does best on
            it are kept. With 0 the weights of the last epoch are. None is a tenth of 500 sequences or more, and 0 of
            fewer.
        """,
    "warm_start": """
        warm_start : bool
            Go on from the networks of the last fit, in the units that they know, instead of fresh ones. Their sizes,
            the features and the classes must be the same; ``history_`` is that of the last fit.
        """,
    "sequence_attributes": """
        n_features_in_ : int, columns of a table, else features per step
        n_steps_in_ : int, columns of a table, else None
        feature_names_in_ : (d,) column names, if fitted on a data frame that has them as text
        columns_ : longlag.estimators.long_tables.LongTableColumns, of a long table; else None
        n_validation_ : int, sequences that were set aside
        input_scaler_ : Standardizer or None
        """,
}
"""Parts of a docstring, by the name that stands for them there as ``{name}`` on a line of its own; a part may have
those that come after it."""


def documented(kind: Kind) -> Kind:
    """Put the shared parts, and the names of the optimisers, into the docstring of a class."""
    text = kind.__doc__
    for name, part in SHARED.items():
        text = text and text.replace(f"    {{{name}}}\n", textwrap.indent(textwrap.dedent(part).strip(), "    ") + "\n")
    kind.__doc__ = text
    return naming_optimizers(kind)
