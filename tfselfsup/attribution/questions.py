"""What is asked about a network: which output is explained, and how its answer is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfselfsup.attribution import scores
from tfselfsup.attribution.scores import Score


@dataclass(frozen=True)
class Question:
    """One way to ask about a network's output.

    Attributes:
        output: Name of the network's output.
        score: What is differentiated.
        measured: What `measure` is called in figures.
        measure: From scores to what people read.
        target_names: What the targets 0, 1, ... stand for, where they have names.
    """

    output: str
    score: Score
    measured: str
    measure: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    target_names: tuple[str, ...] = ()


def of_class(output: str, names: tuple[str, ...] = ()) -> Question:
    """Asks what speaks for a class.

    Args:
        output: With logits.
        names: Of its classes.
    """
    # The probability, back from its log odds.
    return Question(output, scores.log_odds, "probability", tf.sigmoid, names)


def of_actions(output: str, is_dueling: bool) -> dict[str, Question]:
    """Asks about Q values: what speaks for an action, and for the state that the game is in.

    Args:
        output: With a Q value for every action.
        is_dueling: Whether the Q values are a value plus centred advantages.

    Returns:
        `q`, of the target action; and `value`, which is that of a dueling network's value stream,
        and elsewhere the largest Q value.
    """
    value = scores.mean if is_dueling else scores.largest
    return {
        "q": Question(output, scores.chosen, "Q value"),
        "value": Question(output, value, "value"),
    }


class Answers:
    """Answers of the differentiable part of a network, a batch at a time.

    Attributes:
        question: What is asked.
    """

    def __init__(self, model: tf.keras.Model, question: Question, batch_size: int):
        """Compiles both answers.

        Args:
            model: From float [B, H, W, C] to the question's output.
            question: What is asked.
            batch_size: Images at a time.
        """
        pixels = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        targets = tf.TensorSpec((None,), tf.int64)
        self._batch_size = batch_size
        self.question = question
        self._num_targets = model.output_shape[-1]

        @tf.function(input_signature=[pixels])
        def predict(pixels):
            output = tf.cast(model(pixels, training=False), tf.float32)
            inner = range(1, output.shape.rank - 1)
            return tf.argmax(tf.reduce_mean(output, inner) if inner else output, -1)

        @tf.function(input_signature=[pixels, targets])
        def measure(pixels, targets):
            output = tf.cast(model(pixels, training=False), tf.float32)
            return question.measure(question.score(output, targets))

        self._predict, self._measure = predict, measure

    def predicted(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the class with the largest logit, or the best action: int64 [N]."""
        return self._batched(self._predict, pixels)

    def measured(self, pixels: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns what is measured, such as the probability of the target class: float32 [N]."""
        return self._batched(self._measure, pixels, targets)

    def targets(self, wanted: str, pixels: np.ndarray) -> np.ndarray:
        """Resolves what the user asked for.

        Args:
            wanted: `predicted`, the name of a target, or its number.
            pixels: float [N, H, W, C].

        Returns:
            int64 [N].

        Raises:
            ValueError: If there is no such target.
        """
        if wanted == "predicted":
            return self.predicted(pixels)
        numbers = {str(number): number for number in range(self._num_targets)}
        known = numbers | {name: at for at, name in enumerate(self.question.target_names)}
        if wanted not in known:
            names = ", ".join(["predicted", *known])
            raise ValueError(f"expected a target among {names}, got '{wanted}'")
        # A digit's name is its number.
        return np.full(len(pixels), known[wanted], np.int64)

    def _batched(self, function: Callable[..., tf.Tensor], *arrays: np.ndarray) -> np.ndarray:
        size = self._batch_size
        starts = range(0, len(arrays[0]), size)
        found = [function(*(tf.constant(one[at : at + size]) for one in arrays)) for at in starts]
        return np.concatenate([batch.numpy() for batch in found])
