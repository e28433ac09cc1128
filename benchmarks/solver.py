"""Time to the solution of convolutional sparse coding, against peers.

    pip install -r requirements.txt --group benchmarks
    python benchmarks/solver.py --size=256 --atoms=32 --fraction=0.1

Of `λ‖z‖₁ + ½‖x - A z‖₂²`, how long do solvers take to come within a relative
1e-3 and 1e-6 of its minimum?

- Images: photographs that scikit-image ships, grey, in [0, 1], less their
  Gaussian blur of 4 pixels. Dictionary: 8×8 atoms learnt by scikit-learn from
  patches of both photographs. `λ` is a fraction of `max |Aᵀx|`.
- Codes are where atoms lie inside of the image (`padding="valid"`). SPORCO has
  periodic images: that no code wraps around is its option `NoBndryCross`, so
  that all programs and the sizes of their arrays are the same.
- Codes of all solvers are evaluated by one function, in float64, off the clock.
  "reference" solves the program with our solver in float64. Its last
  objective is the minimum, and `reference_gap` the relative duality gap there.
  `least_gap` is how far above it a peer came, or below.
- Setting up is off the clock: FFTs of the dictionary and plans, spectral
  bound, tracing and XLA. Peers are looked at after each 5 % more iterations,
  and `null` is what they did not reach within `--limit`, in seconds.

A command measures one program. Its rows take the place of the same program's
in benchmarks/results.json.
"""

import argparse
import bisect
import collections
import importlib.metadata
import statistics
import time

from keras_csc_cli.records import read_json

import numpy as np
import pyfftw  # noqa: F401
import scipy.ndimage
import skimage.data
import sporco.fft
import tensorflow as tf
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d
from sporco.admm import cbpdn
from sporco.pgm import cbpdn as pgm

from benchmarks import measuring
from keras_csc import ops

THREADS, ATOM_SIZE, BLUR = 2, 8, 4.0
PHOTOGRAPHS = ("camera", "astronaut")
GAPS = {"1e-3": 1e-3, "1e-6": 1e-6}
CASE = ["photograph", "size", "atoms", "fraction"]
COLUMNS = [
    *CASE,
    "solver",
    "dtype",
    "seconds_1e-3",
    "iterations_1e-3",
    "seconds_1e-6",
    "iterations_1e-6",
    "least_gap",
]

Program = collections.namedtuple("Program", ["image", "kernel", "sparsity"])


def grey(name, size):
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
                grey(name, 512), (ATOM_SIZE,) * 2, max_patches=4000,
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


def program(photograph, size, atoms, fraction):
    image, kernel = grey(photograph, size), dictionary(atoms)
    slope = ops.analysis(image[None, ..., None], kernel, padding="valid")
    return Program(image, kernel, fraction * float(np.max(np.abs(slope))))


def value_and_gap(program, codes):
    """Of the program at codes `(height, width, atoms)`, in float64."""
    problem = ops.SparseCodingProgram(
        tf.constant(program.image[None, ..., None]),
        tf.constant(program.kernel),
        program.sparsity,
        padding="valid",
    )
    codes = codes.astype("float64")[None]
    residual = problem.residual(codes)
    gap = problem.gap(codes, residual, problem.analysis(residual))
    return float(problem.value(codes, residual)[0]), float(gap[0])


def objective(program, codes):
    return value_and_gap(program, codes)[0]


def largest_eigenvalue(kernel):
    """Bounds `λmax(AᵀA)`, of atoms of one channel, from above by 0.1 %."""
    spectrum = np.fft.fft2(kernel[:, :, 0], (512, 512), (0, 1))
    return 1.001 * float(np.max(np.sum(np.abs(spectrum) ** 2, -1)))


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

    return advance, codes


def sporco_admm(program, dtype):
    options = {
        "AutoRho": {"Enabled": True},
        "RelaxParam": 1.8,
        "HighMemSolve": True,
    }
    return sporco_solver(cbpdn, program, dtype, options)


def sporco_pgm(program, dtype):
    bound = largest_eigenvalue(program.kernel)
    return sporco_solver(pgm, program, dtype, {"L": bound})


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


PEERS = {
    "sporco_admm": (sporco_admm, "float32"),
    "sporco_admm_float64": (sporco_admm, "float64"),
    "sporco_pgm": (sporco_pgm, "float32"),
}
OURS = {"keras_csc": "float32", "keras_csc_float64": "float64"}


def our_solver(program, dtype, **arguments):
    """Our solver, traced for these arguments."""
    images = tf.constant(program.image[None, ..., None], dtype)
    kernel = tf.constant(program.kernel, dtype)
    step_size = 1 / largest_eigenvalue(program.kernel)

    @tf.function
    def solve(images):
        return ops.solve_sparse_code(
            images,
            kernel,
            program.sparsity,
            step_size,
            padding="valid",
            **arguments,
        )

    compiled = solve.get_concrete_function(images)
    return lambda: compiled(images)


def reference_row(program, iterations):
    """The minimum, and how many iterations ours take."""
    codes = our_solver(
        program, "float64", iterations=iterations, tolerance=1e-8
    )()
    minimum, gap = value_and_gap(program, codes[0].numpy())
    row = {
        "dtype": "float64",
        "sparsity": program.sparsity,
        "minimum": minimum,
        "reference_gap": gap / minimum,
    }
    for dtype in OURS.values():
        for level, gap in GAPS.items():
            row[f"counts_{dtype}_{level}"] = iterations_to(
                (1 + gap) * minimum, iterations, program, dtype
            )
    return row


def iterations_to(value, most, *arguments):
    """After how many iterations ours is as low, `None` above `most`."""

    def reaches(count):
        solve = our_solver(*arguments, iterations=count, tolerance=None)
        return objective(arguments[0], solve()[0].numpy()) <= value

    count = bisect.bisect_left(range(1, most + 1), True, key=reaches) + 1
    return count if count <= most else None


def timed(function, limit):
    """Returns the median of three times, one if it is long, and the result."""
    times = []
    while len(times) < 3 and sum(times) < limit / 2:
        began = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - began)
    return statistics.median(times), result


def our_row(program, name, reference, limit):
    """Our times, for the iterations that it takes and at most 20 % more."""
    dtype = OURS[name]
    row = {"dtype": dtype}
    for level, gap in GAPS.items():
        count = reference[f"counts_{dtype}_{level}"]
        row[f"iterations_{level}"] = row[f"seconds_{level}"] = None
        for _ in range(4 if count else 0):
            solve = our_solver(program, dtype, iterations=count, tolerance=None)
            solve()
            seconds, codes = timed(solve, limit)
            value = objective(program, codes[0].numpy())
            if value <= (1 + gap) * reference["minimum"]:
                row[f"iterations_{level}"] = count
                row[f"seconds_{level}"] = seconds
                break
            count += 1 + count // 20
    return row


def peer_row(program, name, reference, limit):
    build, dtype = PEERS[name]
    minimum = reference["minimum"]
    build(program, dtype)[0](1)
    points = trajectory(program, *build(program, dtype), limit)
    row = {
        "dtype": dtype,
        "iterations": points[-1][0],
        "least_gap": min(value for *_, value in points) / minimum - 1,
        "limit_seconds": limit,
    }
    for level, gap in GAPS.items():
        count, seconds = first(points, (1 + gap) * minimum)
        row[f"iterations_{level}"] = count
        row[f"seconds_{level}"] = seconds
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--photograph", choices=PHOTOGRAPHS, default="camera")
    parser.add_argument("--size", type=int, choices=(256, 512), default=256)
    parser.add_argument("--atoms", type=int, default=32)
    parser.add_argument("--fraction", type=float, default=0.1)
    parser.add_argument("--limit", type=float, default=20)
    parser.add_argument("--reference_iterations", type=int, default=3000)
    arguments = parser.parse_args()
    sporco.fft.pyfftw_threads = THREADS
    case = {key: getattr(arguments, key) for key in CASE}
    task, limit = program(**case), arguments.limit
    reference = reference_row(task, arguments.reference_iterations)
    rows = {"reference": reference}
    for name in OURS:
        rows[name] = our_row(task, name, reference, limit)
    for name in PEERS:
        rows[name] = peer_row(task, name, reference, limit)
    others = [
        row
        for row in read_json(measuring.RESULTS).get("solver", [])
        if any(row[key] != case[key] for key in CASE)
    ]
    rows = [{**case, "solver": name, **row} for name, row in rows.items()]
    versions = {
        name: importlib.metadata.version(name)
        for name in ("sporco", "pyfftw", "numexpr")
    }
    measuring.report("solver", [*others, *rows], COLUMNS, **versions)


if __name__ == "__main__":
    main()
