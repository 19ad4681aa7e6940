"""Triton programs of the mixture's log-probability, forward and backward."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.core.rows import row_offset, widen
from arbench.kernels.mixture.bins import (
    add_sums,
    component_masses,
    load_levels,
    log_prob_of_sums,
    mixture_sums,
    parameter_rows,
    row_pointers,
    row_sums,
)


@triton.jit
def logistic_mixture_log_prob_kernel(
    params,
    x,
    out,
    rows,
    size_1,
    size_2,
    params_stride_0,
    params_stride_1,
    params_stride_2,
    params_stride_last,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_last,
    out_stride_0,
    out_stride_1,
    out_stride_2,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_K_REST: tl.constexpr,
):
    """Compute the log-probabilities of a block of rows."""
    row, m_row, p_params = parameter_rows(
        params, rows, size_1, size_2, params_stride_0, params_stride_1, params_stride_2, PITCH, DENSE, BLOCK_ROWS
    )
    x0, x1, x2 = load_levels(x, row, m_row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2, x_stride_last, CHANNELS)
    prior_top, prior_rest, joint_top, joint_rest = row_sums(
        p_params, params_stride_last, x0, x1, x2, m_row, K, CHANNELS, BINS, LOG2_BINS, BLOCK_K, BLOCK_K_REST
    )
    b_out = log_prob_of_sums(prior_top, prior_rest, joint_top, joint_rest)
    p_out = out + row_offset(row, size_1, size_2, out_stride_0, out_stride_1, out_stride_2)
    tl.store(p_out, b_out, mask=m_row)


@triton.jit
def logistic_mixture_log_prob_backward_kernel(
    params,
    x,
    dout,
    dparams,
    rows,
    size_1,
    size_2,
    params_stride_0,
    params_stride_1,
    params_stride_2,
    params_stride_last,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_last,
    dout_stride_0,
    dout_stride_1,
    dout_stride_2,
    dparams_stride_0,
    dparams_stride_1,
    dparams_stride_2,
    dparams_stride_last,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_K_REST: tl.constexpr,
):
    """Compute the gradient of the parameters of a block of rows."""
    row, m_row, p_params = parameter_rows(
        params, rows, size_1, size_2, params_stride_0, params_stride_1, params_stride_2, PITCH, DENSE, BLOCK_ROWS
    )
    p_dparams = row_pointers(
        dparams,
        row,
        size_1,
        size_2,
        dparams_stride_0,
        dparams_stride_1,
        dparams_stride_2,
        PITCH,
        DENSE,
        BLOCK_ROWS,
    )
    x0, x1, x2 = load_levels(x, row, m_row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2, x_stride_last, CHANNELS)
    p_dout = dout + row_offset(row, size_1, size_2, dout_stride_0, dout_stride_1, dout_stride_2)
    b_dout = widen(tl.load(p_dout, mask=m_row, other=0.0))
    # Recompute the masses and their sums.
    o_k = tl.arange(0, BLOCK_K)[None, :]
    masses = component_masses(p_params, params_stride_last, x0, x1, x2, o_k, m_row, K, CHANNELS, BINS, LOG2_BINS)
    prior_top, prior_rest, joint_top, joint_rest = mixture_sums(masses)
    if BLOCK_K_REST:
        o_rest = BLOCK_K + tl.arange(0, BLOCK_K_REST)[None, :]
        rest = component_masses(p_params, params_stride_last, x0, x1, x2, o_rest, m_row, K, CHANNELS, BINS, LOG2_BINS)
        prior_top, prior_rest, joint_top, joint_rest = add_sums(
            prior_top, prior_rest, joint_top, joint_rest, mixture_sums(rest)
        )
    # Write the gradient.
    prior_scale, joint_scale = b_dout / prior_rest, b_dout / joint_rest
    store_gradients(
        p_dparams,
        dparams_stride_last,
        x0,
        x1,
        o_k,
        m_row,
        masses,
        prior_top,
        prior_scale,
        joint_top,
        joint_scale,
        K,
        CHANNELS,
        BINS,
    )
    if BLOCK_K_REST:
        store_gradients(
            p_dparams,
            dparams_stride_last,
            x0,
            x1,
            o_rest,
            m_row,
            rest,
            prior_top,
            prior_scale,
            joint_top,
            joint_scale,
            K,
            CHANNELS,
            BINS,
        )


@triton.jit
def store_gradients(
    p_dparams,
    stride,
    x0,
    x1,
    o_k,
    m_row,
    masses,
    prior_top,
    prior_scale,
    joint_top,
    joint_scale,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
):
    """Store the gradient of the parameters of components ``o_k`` (1, BLOCK_K)."""
    b_logit, linear, factor, slopes, growths, coefficients = masses
    mask = m_row[:, None] & (o_k < K)  # (BLOCK_ROWS, BLOCK_K)
    b_prior = tl.exp2(b_logit - prior_top[:, None]) * prior_scale[:, None]
    b_posterior = tl.exp2(b_logit + linear - joint_top[:, None]) * factor * joint_scale[:, None]
    store_group(p_dparams, stride, o_k, 0, K, b_posterior - b_prior, mask)
    for c in tl.static_range(CHANNELS):
        store_group(p_dparams, stride, o_k, 1 + c, K, b_posterior * slopes[c] * -BINS, mask)
        store_group(p_dparams, stride, o_k, 1 + CHANNELS + c, K, b_posterior * -growths[c], mask)
    if CHANNELS == 3:
        h0 = (2 * x0 - BINS).to(b_posterior.dtype)[:, None]
        h1 = (2 * x1 - BINS).to(b_posterior.dtype)[:, None]
        rg, rb, gb = coefficients[0], coefficients[1], coefficients[2]
        store_group(p_dparams, stride, o_k, 7, K, b_posterior * slopes[1] * -h0 * (1 - rg * rg), mask)
        store_group(p_dparams, stride, o_k, 8, K, b_posterior * slopes[2] * -h0 * (1 - rb * rb), mask)
        store_group(p_dparams, stride, o_k, 9, K, b_posterior * slopes[2] * -h1 * (1 - gb * gb), mask)


@triton.jit
def store_group(p_row, stride, o_k, GROUP: tl.constexpr, K: tl.constexpr, b_group, mask):
    """Store numbers (BLOCK_ROWS, BLOCK_K) of one of the groups of K; the counterpart of ``load_group``."""
    tl.store(p_row[:, None] + (GROUP * K + o_k).to(tl.int64) * stride, b_group.to(p_row.dtype.element_ty), mask=mask)
