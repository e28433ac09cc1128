"""Section of the curves of training."""

from keras_csc.callbacks.tensorboard import tag
from keras_csc.html import element
from keras_csc.report import charts
from keras_csc.report.elements import figure
from keras_csc.report.elements import paragraph
from keras_csc.report.elements import section

GROUPS = ("quality", "rates", "game", "codes", "time")
# Lines that are of one chart, by its title.
TOGETHER = {
    "learning_rate": "Learning rates",
    "gradient_norm": "Norms of the gradients",
    "zero_fraction": "Share of zeros among the codes",
    "dead_atoms": "Share of dead atoms",
    "operator_norm": "Largest eigenvalues of AᵀA",
    "features_rate": "Coding rates of the features",
    "reconstructed_rate": "Coding rates of the features",
}
NAMES = {
    "shown_psnr": "PSNR of images that are not trained on, dB",
    "features_rate": "of images",
    "reconstructed_rate": "of regenerated images",
}


def curves(log):
    """Section: what a run logged, over its steps; `None` if nothing."""
    groups = {name: {} for name in GROUPS}
    names = dict.fromkeys(
        name
        for record in log
        for name in record
        if name not in ("step", "time")
    )
    if not names:
        return None
    for name in names:
        steps, values = zip(
            *(
                (record["step"], record[name])
                for record in log
                if name in record
            )
        )
        group = tag(name)[0].partition("/")[0]
        title, line = _title(name)
        groups[group].setdefault(title, {})[line] = steps, values
    return section(
        "training",
        "Training",
        paragraph(
            f"What the run logged in {log[-1]['step']:,} steps. Two decades "
            "and more are on a logarithmic scale."
        ),
        element(
            "div",
            [
                _chart(*each)
                for charted in groups.values()
                for each in charted.items()
            ],
            class_="charts",
        ),
    )


def _title(name):
    """Of a scalar, the title of its chart and the name of its line."""
    kind, _, layer = name.partition("/")
    line = layer or kind
    for part, title in TOGETHER.items():
        if kind == part or kind.endswith(f"_{part}"):
            line = layer or kind.removesuffix(f"_{part}")
            return title, NAMES.get(kind, line).replace("_", " ")
    title = NAMES.get(name, kind.replace("_", " ").capitalize())
    return title, line.replace("_", " ")


def _chart(title, lines):
    ends = "; ".join(
        f"{name} from {values[0]:.4g} to {values[-1]:.4g}"
        for name, (_, values) in lines.items()
    )
    return figure(
        element("figcaption", title),
        charts.line_chart(lines, f"{title} over the steps: {ends}"),
    )
