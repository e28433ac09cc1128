"""Time to the solution of convolutional sparse coding, against peers.

    pip install -r requirements.txt -r requirements-benchmarks.txt
    python benchmarks/solver.py --size=256 --atoms=32 --fraction=0.1

Of `λ‖z‖₁ + ½‖x - A z‖₂²`, how long do solvers take to come within a relative
1e-3 and 1e-6 of its minimum?

- Images: photographs that scikit-image ships, grey, in [0, 1], less their
  Gaussian blur of 4 pixels. Dictionary: 8×8 atoms learnt by scikit-learn from
  patches of both photographs. `λ` is a fraction of `max |Aᵀx|`.
- Codes are where atoms lie inside of the image (`padding="valid"`). SPORCO and
  scico have periodic images: that no code wraps around is SPORCO's option
  `NoBndryCross`, and a projection in scico's proximal map, so that all
  programs and the sizes of their arrays are the same.
- Codes of all solvers are evaluated by one function, in float64, off the clock.
  The minimum is the least value of any, and ours in float64 has gone on to a
  relative duality gap of 1e-7 or its limit, which the rows state.
- Setting up is off the clock: FFTs of the dictionary and plans, spectral
  bound, tracing and XLA. Peers are looked at after each 5 % more iterations.
- "certified" is our time to stop by ourselves, when the duality gap is as
  small: the others stop because they are told the minimum.

A command measures one program and puts its rows in results/solver.json.
"""

import argparse
import collections
import importlib.metadata
import statistics
import time

from training.workdir import read_json

import numpy as np
import pyfftw  # noqa: F401
import scipy.ndimage
import skimage.data
import sporco.fft
import tensorflow as tf
from scico import functional
from scico import linop
from scico import loss
from scico import numpy as snp
from scico.optimize.admm import ADMM
from scico.optimize.admm import FBlockCircularConvolveSolver
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d
from sporco.admm import cbpdn
from sporco.pgm import cbpdn as pgm

from benchmarks import measuring
from keras_csc import ops
from keras_csc.ops.fusion import fusion

THREADS, ATOM_SIZE, BLUR = 2, 8, 4.0
PHOTOGRAPHS = ("camera", "astronaut")
GAPS = {"1e-3": 1e-3, "1e-6": 1e-6}
COLUMNS = [
    "photograph",
    "size",
    "atoms",
    "fraction",
    "solver",
    "dtype",
    "seconds_1e-3",
    "iterations_1e-3",
    "ratio_1e-3",
    "seconds_1e-6",
    "iterations_1e-6",
    "ratio_1e-6",
    "certified_1e-3",
    "certified_1e-6",
]

Program = collections.namedtuple("Program", ["image", "kernel", "sparsity"])


def photograph(name, size):
    """A grey photograph `(size, size)` without its low frequencies."""
    image = getattr(skimage.data, name)() / 255
    if image.ndim == 3:
        image = np.mean(image, -1)
    factor = 512 // size
    image = image.reshape(size, factor, size, factor).mean((1, 3))
    return image - scipy.ndimage.gaussian_filter(image, BLUR)


def dictionary(atoms):
    """Learnt atoms `(8, 8, 1, atoms)` of norm 1."""
    patches = np.concatenate(
        [
            extract_patches_2d(
                photograph(name, 512), (ATOM_SIZE,) * 2, max_patches=4000,
                random_state=0,
            ).reshape(-1, ATOM_SIZE**2)
            for name in PHOTOGRAPHS
        ]
    )  # fmt: skip
    learner = MiniBatchDictionaryLearning(
        atoms,
        alpha=0.1 * np.median(np.linalg.norm(patches, axis=1)),
        batch_size=256,
        max_iter=5,
        random_state=0,
    )
    found = learner.fit(patches).components_
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    return found.T.reshape(ATOM_SIZE, ATOM_SIZE, 1, atoms)


def program(name, size, atoms, fraction):
    image, kernel = photograph(name, size), dictionary(atoms)
    slope = ops.analysis(image[None, ..., None], kernel, padding="valid")
    return Program(image, kernel, fraction * float(np.max(np.abs(slope))))


def objective(program, codes):
    """The program's value at codes `(height, width, atoms)`, in float64."""
    value = ops.lasso_objective(
        program.image[None, ..., None],
        codes.astype("float64")[None],
        program.kernel,
        program.sparsity,
        padding="valid",
    )
    return float(value[0])


# Peers: a function that does some iterations, and one that returns the codes.


def sporco_solver(module, program, dtype, options):
    options = module.ConvBPDN.Options(
        {
            "FastSolve": True,
            "RelStopTol": 0.0,
            "NoBndryCross": True,
            "DataType": np.dtype(dtype),
            **options,
        }
    )
    solver = module.ConvBPDN(
        program.kernel[:, :, 0].astype(dtype),
        program.image.astype(dtype),
        program.sparsity,
        options,
        dimK=0,
    )

    def advance(iterations):
        solver.opt["MaxMainIter"] = iterations
        solver.solve()

    inside = len(program.image) - ATOM_SIZE + 1

    def codes():
        array = solver.X if module is pgm else solver.Y
        return array[:inside, :inside, 0, 0]

    return advance, codes, solver


def sporco_admm(program, dtype):
    options = {
        "AutoRho": {"Enabled": True},
        "RelaxParam": 1.8,
        "HighMemSolve": True,
    }
    return sporco_solver(cbpdn, program, dtype, options)


def sporco_pgm(program, dtype):
    bound = float(ops.spectral_bound(program.kernel))
    return sporco_solver(pgm, program, dtype, {"L": bound})


class InnerNorm(functional.L1Norm):
    """`‖z‖₁` of codes that are 0 where atoms would wrap around."""

    def prox(self, v, lam=1.0, **arguments):
        result = functional.L1Norm.prox(v, lam)
        inside = v.shape[-1] - ATOM_SIZE + 1
        return result.at[:, inside:].set(0).at[:, :, inside:].set(0)


def scico_admm(program, dtype, rho):
    """scico's example of convolutional sparse coding, with SPORCO's `ρ`."""
    image = snp.array(program.image, dtype)
    atoms = snp.array(np.transpose(program.kernel[:, :, 0], (2, 0, 1)), dtype)
    convolve = linop.CircularConvolve(
        atoms,
        input_shape=(len(atoms), *image.shape),
        ndims=2,
        input_dtype=dtype,
    )
    total = linop.Sum(input_shape=convolve.output_shape, axis=0)
    solver = ADMM(
        f=loss.SquaredL2Loss(y=image, A=total @ convolve),
        g_list=[program.sparsity * InnerNorm()],
        C_list=[linop.Identity(convolve.input_shape)],
        rho_list=[rho],
        alpha=1.8,
        subproblem_solver=FBlockCircularConvolveSolver(),
    )

    def advance(iterations):
        for _ in range(iterations):
            solver.step()
        solver.z_list[0].block_until_ready()

    inside = len(image) - ATOM_SIZE + 1

    def codes():
        array = np.asarray(solver.z_list[0])[:, :inside, :inside]
        return np.transpose(array, (1, 2, 0))

    return advance, codes, solver


def trajectory(program, advance, codes, limit):
    """Lists `(iterations, seconds, objective)` until the limit in seconds."""
    iterations, seconds, points = 0, 0.0, []
    while seconds < limit:
        count = max(1, iterations // 20)
        began = time.perf_counter()
        advance(count)
        seconds += time.perf_counter() - began
        iterations += count
        points.append((iterations, seconds, objective(program, codes())))
    return points


def first(points, value):
    """Iterations and seconds of the first point that is as low."""
    for iterations, seconds, reached in points:
        if reached <= value:
            return iterations, seconds
    return None, None


def our_solver(program, dtype, **arguments):
    """Our solver, traced for these arguments."""
    images = tf.constant(program.image[None, ..., None], dtype)
    kernel = tf.constant(program.kernel, dtype)
    step_size = 1 / float(ops.spectral_bound(program.kernel))

    @tf.function
    def solve(images):
        with fusion():
            return ops.solve_sparse_code(
                images,
                kernel,
                program.sparsity,
                step_size,
                padding="valid",
                line_search=True,
                **arguments,
            )

    compiled = solve.get_concrete_function(images)
    return lambda: compiled(images)


def timed(function, limit):
    """Returns the median of three times, one if it is long, and the result."""
    times = []
    while len(times) < 3 and sum(times) < limit / 2:
        began = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - began)
    return statistics.median(times), result


def our_row(program, dtype, history, best, limit):
    """Our times, for the iterations that it takes and for the duality gap."""
    row = {"solver": "keras_csc", "dtype": dtype}
    for name, gap in GAPS.items():
        reached = np.flatnonzero(history <= (1 + gap) * best)
        row[f"iterations_{name}"] = row[f"seconds_{name}"] = None
        row[f"certified_{name}"] = None
        if not len(reached):
            continue
        count = int(reached[0]) + 1
        for _ in range(4):
            solve = our_solver(program, dtype, iterations=count, tolerance=None)
            solve()
            seconds, codes = timed(solve, limit)
            if objective(program, codes[0].numpy()) <= (1 + gap) * best:
                row[f"iterations_{name}"] = count
                row[f"seconds_{name}"] = seconds
                break
            count += 1 + count // 20
        solve = our_solver(
            program, dtype, iterations=2 * count + 100, tolerance=gap
        )
        solve()
        seconds, codes = timed(solve, limit)
        bound = ops.duality_gap(
            program.image[None, ..., None],
            tf.cast(codes, "float64"),
            program.kernel,
            program.sparsity,
            padding="valid",
        )
        if float(bound[0]) <= 1.1 * gap * best:
            row[f"certified_{name}"] = seconds
    return row


def history_of(program, dtype, iterations):
    """The objective after every iteration, and the last codes."""
    solve = our_solver(
        program,
        dtype,
        iterations=iterations,
        tolerance=1e-7,
        statistics=True,
    )
    codes, record = solve()
    objectives = record.objective.numpy()[:, 0]
    return objectives[np.isfinite(objectives)], codes


def measure(case, limit, iterations):
    """Rows of all solvers on one program."""
    task = program(**case)
    history, solution = history_of(task, "float64", iterations)
    runs = {}
    rho = None
    for name, dtype in (("SPORCO ADMM", "float32"), ("SPORCO ADMM", "float64")):
        *run, solver = sporco_admm(task, dtype)
        runs[name, dtype] = trajectory(task, *run, limit)
        rho = float(solver.rho)
    *run, _ = sporco_pgm(task, "float32")
    runs["SPORCO PGM", "float32"] = trajectory(task, *run, limit)
    scico_admm(task, "float32", rho)[0](1)
    *run, _ = scico_admm(task, "float32", rho)
    runs["scico ADMM", "float32"] = trajectory(task, *run, limit)
    values = [value for points in runs.values() for *_, value in points]
    best = min([objective(task, solution[0].numpy()), *values])
    bound = ops.duality_gap(
        task.image[None, ..., None],
        solution,
        task.kernel,
        task.sparsity,
        padding="valid",
    )
    ours = {
        "float64": our_row(task, "float64", history, best, limit),
        "float32": our_row(
            task, "float32", history, best, limit
        ),
    }  # fmt: skip
    about = {
        "sparsity": task.sparsity,
        "minimum": best,
        "reference_gap": float(bound[0]) / best,
        "limit_seconds": limit,
    }
    rows = [{**case, **row, **about} for row in ours.values()]
    for (name, dtype), points in runs.items():
        row = {**case, "solver": name, "dtype": dtype, **about}
        row["least_gap"] = min(value for *_, value in points) / best - 1
        for level, gap in GAPS.items():
            count, seconds = first(points, (1 + gap) * best)
            row[f"iterations_{level}"] = count
            row[f"seconds_{level}"] = seconds
            our_seconds = ours[dtype][f"seconds_{level}"]
            row[f"ratio_{level}"] = (
                seconds / our_seconds if seconds and our_seconds else None
            )
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--photograph", choices=PHOTOGRAPHS, default="camera")
    parser.add_argument("--size", type=int, choices=(256, 512), default=256)
    parser.add_argument("--atoms", type=int, default=32)
    parser.add_argument("--fraction", type=float, default=0.1)
    parser.add_argument(
        "--limit", type=float, default=40, help="seconds per solver"
    )
    parser.add_argument("--reference_iterations", type=int, default=1000)
    arguments = parser.parse_args()
    sporco.fft.pyfftw_threads = THREADS
    case = {
        "name": arguments.photograph,
        "size": arguments.size,
        "atoms": arguments.atoms,
        "fraction": arguments.fraction,
    }
    rows = measure(case, arguments.limit, arguments.reference_iterations)
    for row in rows:
        row["photograph"] = row.pop("name")
    path = measuring.RESULTS / "solver.json"
    kept = read_json(path) if path.exists() else []
    key = COLUMNS[:4]
    kept = [r for r in kept if any(r[k] != rows[0][k] for k in key)]
    versions = {
        name: importlib.metadata.version(name)
        for name in ("sporco", "pyfftw", "numexpr", "scico", "jax")
    }
    measuring.report("solver", kept + rows, COLUMNS, **versions)


if __name__ == "__main__":
    main()
