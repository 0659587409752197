"""The gradient doctor, who says why a gradient is zero or huge.

Read `diagnosis` first: it asks the questions in their order. Each ``signs_…`` module holds a few of
them, as functions from what was observed to findings; `order` says which finding is the root, and
`remedies` what helps. `subject` runs a gradnb model and leaves no trace, `torch_subject` a PyTorch
one; what both observe are the `Stage` and `Run` of `observation`.
"""

from gradnb.doctor.diagnosis import diagnose
from gradnb.doctor.report import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
