"""The Voigt function for line profiles."""

import math

from numba import njit

__all__ = ["voigt"]

INV_SQRT_PI = 1.0 / math.sqrt(math.pi)


@njit(cache=True, inline="always")
def voigt(a, x):
    """Voigt function H(a, x), the real part of the Faddeeva function.

    Rational approximations of Humlicek (1982, JQSRT 27, 437), relative error below 1.1e-4 for
    a > 0 wherever the profile matters; H(0, 0) = 1 and the integral over x is sqrt(pi).

    Parameters
    ----------
    a : float64
        Damping over Doppler width, 0 < a < 100.
    x : float64
        Distance from the line centre in Doppler widths.

    Returns
    -------
    float64
    """
    x = abs(x)
    s = x + a  # regions of Humlíček (1982, JQSRT 27, 437)
    y2 = x * x
    if s > 15.0:  # region I: two poles
        real = a * a - y2 + 0.5
        return INV_SQRT_PI * a * (a * a + y2 + 0.5) / (real * real + 4.0 * a * a * y2)
    t = complex(a, -x)  # w(z) with z = x + ia is a function of a - ix
    u = t * t
    if s > 5.5:  # region II
        return (t * (1.410474 + u * 0.5641896) / (0.75 + u * (3.0 + u))).real
    if a > 0.195 * x - 0.176:  # region III
        top = 16.4955 + t * (20.20933 + t * (11.96482 + t * (3.778987 + t * 0.5642236)))
        bottom = 16.4955 + t * (38.82363 + t * (39.27121 + t * (21.69274 + t * (6.699398 + t))))
        return (top / bottom).real
    top = t * (
        36183.31
        - u
        * (
            3321.9905
            - u * (1540.787 - u * (219.0313 - u * (35.76683 - u * (1.320522 - u * 0.56419))))
        )
    )
    bottom = 32066.6 - u * (
        24322.84
        - u * (9022.228 - u * (2186.181 - u * (364.2191 - u * (61.57037 - u * (1.841439 - u)))))
    )
    # region IV: near the real axis the Gaussian is split off
    core = math.exp(a * a - y2) * math.cos(2.0 * a * x)
    return core - (top / bottom).real
