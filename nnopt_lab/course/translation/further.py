"""English texts that a learner reads and that no rule finds in the code, because it puts them together from parts."""

from nnopt_lab.workbench.language import MESSAGE, PRINTED

FURTHER = (
    *(("label", text) for text in ("none", "flat", "MACs", "no OpenVINO", "pinned, not waited for")),
    # Engines with their number format.
    *(("label", f"compiled {kind}") for kind in ("bf16", "int8", "fp8", "reduce-overhead bf16")),
    *(("label", text) for text in ("2:4 sparse bf16", "2:4 sparse in bf16")),
    *(("label", text) for text in ("convolution {0} %", "linear {0} %", "batch of {0}", "times MyNet's")),
    # Lists of names, whose "and" is between fields.
    ("label", "half of {0} and {1}, by sensitivity"),
    ("label", "half of {0} and {1} and {2}, by sensitivity"),
    ("description", "The longest bars, the fastest programs, are {0} at batch {1} and {2} at batch {3}."),
    (
        "error",
        "{0} must be script.py:function, torchvision:NAME:FOLDER, a folder, a .npz or .pt file, or one of {1}, and the "
        "script must exist.",
    ),
    (
        "error",
        "{0} must be script.py:function, torchvision:NAME:FOLDER, a folder, a .npz or .pt file, or one of {1}, but {2} "
        "is not a Python script.",
    ),
    ("error", "{0} must be script.py:function, timm:NAME or torchvision:NAME, and the script must exist."),
    ("error", "{0} must be script.py:function, timm:NAME or torchvision:NAME, but {1} is not a Python script."),
    (
        "error",
        "Prune the model with `prune_two_four` and fine-tune it with that mask, or allow more with `tolerance`.",
    ),
    # How to mend what an error names.
    ("error", "take {0} from the kit again"),
    ("error", "restore it with `git checkout -- {0}`, or recreate it with `{1}`"),
    ("error", "these are: {0}, and 0.0.0.0 means all"),
    (MESSAGE, "{low} to {high}"),  # numbers alone, as of an interval in a table
    # Values of a cell, and what `print` gets from a variable.
    (PRINTED, "No process was killed here, so there is no time to report."),
    (PRINTED, "no instructions that the system reports: no fast path"),
    (PRINTED, "in float32:"),
)
