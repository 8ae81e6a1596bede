"""Fits the polynomial behind the sigmoid and the tanh of `lstm.c`, and states the error.

Both need e^x for x <= 0, and the tanh needs e^x - 1 without losing the precision of a small x. With n the integer
nearest to x / ln 2 and r = x - n ln 2, e^x = 2^n (1 + r q(r)) on |r| <= ln 2 / 2, where q(r) = (e^r - 1) / r is
smooth: a polynomial whose largest relative error is as small as it can be (Remez 1934) takes its place.

    python -m lstm_ae.kernels.fit_activations

prints the coefficients as they stand in `lstm.c` and the largest relative error of the polynomial. That of the compiled
functions, rounding included, is what `tests/kernels/test_activations.py` measures.
"""

import numpy as np
from numpy.polynomial import chebyshev, polynomial

DEGREE = 5  # the lowest at which float32's own rounding is the larger error
HALF = np.log(2) / 2


def target(r: np.ndarray) -> np.ndarray:
    """(e^r - 1) / r, and its limit 1 at r = 0."""
    return np.divide(np.expm1(r), r, out=np.ones_like(r), where=r != 0)


def remez(degree: int, rounds: int = 20) -> np.ndarray:
    """Coefficients, the constant first, of the polynomial q with the least max |q / target - 1| on |r| <= `HALF`.

    Each round solves for the q whose relative error takes the values +e, -e, +e, ... at degree + 2 points, then moves
    these points to where the error is largest; when it is equally large at all of them, no polynomial does better.
    """
    grid = np.linspace(-HALF, HALF, 20001)
    points = HALF * np.sort(chebyshev.chebpts2(degree + 2))
    signs = (-1.0) ** np.arange(degree + 2)
    for _ in range(rounds):
        powers = polynomial.polyvander(points, degree)
        *coefficients, _ = np.linalg.solve(np.column_stack([powers, signs * target(points)]), target(points))
        error = polynomial.polyval(grid, coefficients) / target(grid) - 1
        # The error changes its sign degree + 1 times; between two changes its largest value is the new point.
        changes = np.flatnonzero(np.diff(np.sign(error))) + 1
        pieces = np.split(np.arange(len(grid)), changes)
        points = np.array([grid[piece[np.argmax(np.abs(error[piece]))]] for piece in pieces])
    return np.array(coefficients)


def main() -> None:
    """Print the coefficients, the highest first, and the error that they leave."""
    coefficients = remez(DEGREE).astype(np.float32)
    grid = np.linspace(-HALF, HALF, 100001)
    error = np.abs(polynomial.polyval(grid, coefficients.astype(np.float64)) / target(grid) - 1).max()
    print(", ".join(f"{value:.9g}f" for value in coefficients[::-1]))
    print(f"largest relative error of (e^r - 1) / r, coefficients rounded to float32: {error:.1e}")


if __name__ == "__main__":
    main()
