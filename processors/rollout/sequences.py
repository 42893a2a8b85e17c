"""Intervals that stay honest however often one looks.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021,
arXiv:2103.06476), a Gaussian-mixture boundary, applied to the difference of two means of independent
arms. Values are per randomised unit (session), bounded in [0, 1].
"""

from __future__ import annotations

import math

from schemas.rollouts import ArmStats


def mixture_rho(planned: float, alpha: float) -> float:
    """The mixture's scale that makes the sequence tightest at `planned` observations."""
    log_term = -2.0 * math.log(alpha)
    return math.sqrt((log_term + math.log(log_term + 1.0)) / planned)


def variance_of_mean(arm: ArmStats) -> float:
    """Variance of an arm's mean with one pseudo-observation of variance ¼.

    The pseudo-observation keeps a short run of equal outcomes from looking certain.
    """
    return (arm.n * arm.variance + 0.25) / (arm.n + 1) / arm.n


def difference(
    candidate: ArmStats, baseline: ArmStats, *, alpha: float, planned: int
) -> tuple[float, float, float]:
    """(candidate − baseline, low, high): two-sided at `alpha` over all looks together.

    `planned` is the number of units an arm at which the interval should be tightest. An arm without
    units gives (0, −1, 1).
    """
    if not candidate.n or not baseline.n:
        return 0.0, -1.0, 1.0
    rho_squared = mixture_rho(2.0 * planned, alpha) ** 2
    time = float(candidate.n + baseline.n) * rho_squared
    spread = variance_of_mean(candidate) + variance_of_mean(baseline)
    boundary = 2.0 * (time + 1.0) / time * math.log(math.sqrt(time + 1.0) / alpha)
    radius = math.sqrt(spread * boundary)
    estimate = candidate.mean - baseline.mean
    return estimate, estimate - radius, estimate + radius


def wilson(successes: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (1927), 95 % by default; (0, 1) without observations."""
    if not n:
        return 0.0, 1.0
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes <= 0 else max(centre - half, 0.0)
    high = 1.0 if successes >= n else min(centre + half, 1.0)
    return low, high
