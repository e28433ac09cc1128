"""A paragraph for each study, computed from its rows."""

from benchmarks.studies.contenders import CONTENDERS
from benchmarks.studies.data import SETS
from benchmarks.studies.definitions import EQUAL
from benchmarks.studies.definitions import LONG
from benchmarks.studies.definitions import LONG_TRAINED
from benchmarks.studies.results import text


def settings(results):
    """The setting that most got, and who got another."""
    chosen = {}
    for data in results.scale.sets:
        for key in results.label_values("0", "contender"):
            tried = results.select("0", "validation", data=data, contender=key)
            if len(tried) < results.scale.candidates:
                continue
            tuned = results.plan.tuned(key, data)
            setting = f"{tuned['optimizer']} {tuned['encoder_learning_rate']:g}"
            who = f"{CONTENDERS[key].name} on {SETS[data].title}"
            chosen.setdefault(setting, []).append(who)
    if not chosen:
        return ""
    usual = max(chosen, key=lambda setting: len(chosen[setting]))
    others = [
        f"{who}: {setting}"
        for setting, found in chosen.items()
        for who in found
        if setting != usual
    ]
    exceptions = f", except {'; '.join(others)}" if others else ""
    return f"Chosen: {usual} for all{exceptions}."


def quality(results):
    sentences = []
    for data in results.scale.sets:
        parts = []
        for key in results.label_values("1", "contender"):
            labels = {"data": data, "contender": key, "budget": EQUAL}
            values = results.values("1", "psnr", **labels)
            shares = results.mean("1", "retrieval", **labels)
            if len(values):
                parts.append(
                    f"{CONTENDERS[key].name} {text(values, '{:.2f}')} dB "
                    f"(retrieval {shares:.2f})"
                )
        if parts:
            listed = "; ".join(parts)
            sentences.append(
                f"On {SETS[data].title}, at equal images: {listed}."
            )
    for key in LONG_TRAINED:
        long = results.mean("1", "psnr", contender=key, budget=LONG)
        if long is not None:
            sentences.append(
                f"After {results.scale.long_minutes:g} minutes on "
                f"{SETS[results.scale.sets[-1]].title}, "
                f"{CONTENDERS[key].name}: {long:.2f} dB."
            )
    return " ".join(sentences)


def unseen(results):
    sentences = []
    for data in results.scale.trained_on:
        means = {}
        for key in results.label_values("2", "contender"):
            values = [
                results.mean("2", f"{other}/psnr", contender=key, data=data)
                for other in results.scale.tested
                if other != data
            ]
            values = [value for value in values if value is not None]
            if values:
                means[key] = sum(values) / len(values)
        if means:
            best = max(means, key=means.get)
            sentences.append(
                f"Of those trained on {SETS[data].title}, "
                f"{CONTENDERS[best].name} does best elsewhere, "
                f"{means[best]:.1f} dB in the mean"
                + (f" (ours {means['ours']:.1f})." if "ours" in means else ".")
            )
    return " ".join(sentences)


def batches(results):
    return _range(results, "3", "batch", "a batch of {}")


def stability(results):
    return _range(results, "4", "rate", "{} times the rate", longer=1)


def noise(results, level="0.1"):
    """Of Gaussian noise of one level; the tables have the others."""
    sentences = []
    for result in results.select("5", contender="ours", noise="gaussian"):
        methods = result.row["figures"].get(level, {})
        if "chosen sparsity" not in methods:
            continue
        plain, chosen = (
            methods[name]["psnr"]
            for name in ("reconstruction", "chosen sparsity")
        )
        sentences.append(
            f"{SETS[result.labels['data']].title}, "
            f"{result.labels['budget']}, from {methods['noisy']:.1f} dB to "
            f"{plain:.1f} dB as trained and {chosen:.1f} dB with "
            f"λ = {methods['chosen sparsity']['parameter']:g}"
        )
    if not sentences:
        return ""
    return f"Ours, Gaussian noise of {level}: " + "; ".join(sentences) + "."


RATE_REDUCTIONS = (
    "no rate reduction",
    "all of it",
    "Multi",
    "Multi, x10 in the encoder",
)
NOTICED_DB = 0.1


def parts(results):
    """The changes of PSNR that can be seen."""
    sentences = []
    for data in results.label_values("6", "data"):
        whole = results.mean("6", "psnr", data=data, variant="all of it")
        changes = {
            variant: results.mean("6", "psnr", data=data, variant=variant)
            for variant in results.label_values("6", "variant")
        }
        changes = {
            variant: value - whole
            for variant, value in changes.items()
            if None not in (value, whole)
            and abs(value - whole) >= NOTICED_DB
            and not variant.startswith(("published", "conv"))
        }
        if changes:
            ordered = sorted(changes, key=changes.get)
            listed = ", ".join(f"{k} {changes[k]:+.1f}" for k in ordered)
            sentences.append(
                f"{SETS[data].title}, dB against {whole:.1f} of all of it: "
                f"{listed}."
            )
    if not sentences:
        return ""
    return " ".join(sentences) + (
        f" Other changes of ours are below {NOTICED_DB} dB."
    )


def ablations(results):
    sentences = []
    for flag in results.label_values("7", "flag"):
        found = {
            result.labels["value"]: result.row["figures"].get("psnr")
            for result in results.select("7", "evaluation", flag=flag)
        }
        found = {k: v for k, v in found.items() if v is not None}
        if len(found) > 1:
            best, worst = (f(found, key=found.get) for f in (max, min))
            sentences.append(
                f"{flag}: best {best} ({found[best]:.2f} dB), worst {worst} "
                f"({found[worst]:.2f} dB)."
            )
    return " ".join(sentences)


def limits(results):
    """PSNR by the number of features, and with the widths of long training."""
    wider = results.label_values("8", "filters")[1:]
    groups = {
        f"{size} features": [
            result
            for result in results.select("8", features=size, budget=EQUAL)
            if result.labels.get("filters") not in wider
        ]
        for size in results.label_values("8", "features")
    }
    for filters in wider:
        groups[f"Filters {filters}"] = results.select(
            "8", filters=filters, budget=EQUAL
        )
    for result in results.select("8", budget=LONG):
        minutes, size = results.scale.long_minutes, result.labels["features"]
        title = f"{size} features, {minutes:g} minutes"
        groups.setdefault(title, []).append(result)
    sentences = []
    for title, found in groups.items():
        listed = ", ".join(
            f"{CONTENDERS[result.labels['contender']].name} "
            f"{result.row['figures']['psnr']:.2f} dB"
            for result in found
            if "psnr" in result.row["figures"]
        )
        sentences.append(f"{title}: {listed}.")
    return " ".join(sentences)


READINGS = {
    "0": settings,
    "1": quality,
    "2": unseen,
    "3": batches,
    "4": stability,
    "5": noise,
    "6": parts,
    "7": ablations,
    "8": limits,
}


def _range(results, study, label, words, **labels):
    sentences = []
    for key in results.label_values(study, "contender"):
        found = {
            value: results.mean(
                study, "psnr", contender=key, **{label: value}, **labels
            )
            for value in results.label_values(study, label)
        }
        found = {k: v for k, v in found.items() if v is not None}
        if found:
            best, worst = (f(found, key=found.get) for f in (max, min))
            sentences.append(
                f"{CONTENDERS[key].name}: from {found[worst]:.1f} dB "
                f"({words.format(worst)}) to {found[best]:.1f} dB "
                f"({words.format(best)})."
            )
    return " ".join(sentences)
