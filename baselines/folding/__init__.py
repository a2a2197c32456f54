"""Re-parameterisation for inference: which part folds into which, by the type of the module.

`fold_thresholds` puts every MPBN into its neuron's threshold (Eq. 10), `fold_leaks` one whose neuron carries the
normalised potential into threshold, leak and bias, `fold_norms` every normalisation into the convolution before it,
`fold_coefficients` what multiplies spikes into their receivers. They return a folded copy in evaluation mode and leave
the network as it was. They are apart because they are not alike: the first is exact to the last spike, others round.
"""

from baselines.folding.coefficients import absorbed, coefficients, fold_coefficients
from baselines.folding.events import event_driven
from baselines.folding.leaks import FoldedLeak, fold_leaks, folded_leak, has_foldable_leak
from baselines.folding.norms import ConvPerStep, affine, fold_norm, fold_norms, has_foldable_norm
from baselines.folding.thresholds import (
    eq10,
    fold_thresholds,
    folded_threshold,
    has_foldable_threshold,
    last_silent,
    threshold_of,
)
from baselines.parts.neurons import FoldedFire

__all__ = [
    "ConvPerStep",
    "FoldedFire",
    "FoldedLeak",
    "absorbed",
    "affine",
    "coefficients",
    "eq10",
    "event_driven",
    "fold_coefficients",
    "fold_leaks",
    "fold_norm",
    "fold_norms",
    "fold_thresholds",
    "folded_leak",
    "folded_threshold",
    "has_foldable_leak",
    "has_foldable_norm",
    "has_foldable_threshold",
    "last_silent",
    "threshold_of",
]
