"""The maths of the medium against closed forms and hand-made cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.channel.maths import Heard, chances, delays, faded, heard_after, next_bad, quantised


@pytest.mark.parametrize("bits", [1, 2, 3, 8, 16])
def test_a_quantiser_has_equal_steps_and_leaves_its_levels(bits: int) -> None:
    exact = (-1.0 + 2.0 * np.arange(2**bits) / (2**bits - 1)).astype(np.float32)
    np.testing.assert_array_equal(quantised(exact, bits), exact)
    x = np.random.default_rng(bits).uniform(-1, 1, 5000).astype(np.float32)
    rounded = quantised(x, bits)
    assert rounded.dtype == np.float32
    assert np.isin(rounded, exact).all()
    np.testing.assert_array_equal(quantised(rounded, bits), rounded)
    nearest = exact[np.abs(x[:, None].astype(np.float64) - exact).argmin(axis=1)] if bits < 16 else rounded
    np.testing.assert_array_equal(rounded, nearest)
    assert np.abs(x - rounded).max() <= 1.0 / (2**bits - 1) + 1e-6
    assert quantised(np.array([-1.0, 1.0]), bits).tolist() == [-1.0, 1.0]


def test_one_bit_is_a_sign_and_no_bits_are_no_limit() -> None:
    x = np.array([-1.0, -0.01, 0.0, 0.01, 1.0], np.float32)
    assert quantised(x, 1).tolist() == [-1.0, -1.0, 1.0, 1.0, 1.0]
    assert quantised(x, 2).tolist() == pytest.approx([-1.0, -1 / 3, 1 / 3, 1 / 3, 1.0])
    np.testing.assert_array_equal(quantised(x, 0), x)


@pytest.mark.parametrize(("loss", "burst"), [(0.2, 0.0), (0.2, 1.25), (0.5, 2.0), (0.3, 8.0), (0.05, 3.0), (0.6, 1.5)])
def test_losses_have_their_rate_and_spells_their_length(loss: float, burst: float) -> None:
    rng, links, steps = np.random.default_rng(1), 4000, 400
    bad = rng.random(links) < loss
    course = [bad]
    for _ in range(steps - 1):
        bad = next_bad(bad, rng.random(links), loss, burst)
        course.append(bad)
    lost = np.array(course)  # (T, links)
    mean = burst or 1 / (1 - loss)
    for t in (0, 1, steps - 1):
        assert lost[t].mean() == pytest.approx(loss, abs=0.03)
    assert lost.mean() == pytest.approx(loss, abs=0.01)
    # Whole spells: steps lost over spells begun.
    begins = lost[1:] & ~lost[:-1]
    assert lost[1:].sum() / (begins.sum() + lost[0].sum()) == pytest.approx(mean, rel=0.04)
    stays = (lost[1:] & lost[:-1]).sum() / lost[:-1].sum()
    assert stays == pytest.approx(1 - 1 / mean, abs=0.01)


def test_independent_losses_are_a_special_case() -> None:
    for loss in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(chances(loss, 1 / (1 - loss)), chances(loss, 0.0))
    assert chances(1.0, 0.0) == (1.0, 1.0)
    uniform = np.random.default_rng(0).random(100)
    for bad in (np.ones(100, bool), np.zeros(100, bool)):
        np.testing.assert_array_equal(next_bad(bad, uniform, 0.3, 0.0), uniform < 0.3)


def test_delays_are_uniform_and_both_ends_occur() -> None:
    drawn = delays(np.random.default_rng(0).random(30_000), 2, 4)
    shares = np.bincount(drawn) / 30_000
    np.testing.assert_allclose(shares, [0, 0, 1 / 3, 1 / 3, 1 / 3], atol=0.01)
    assert delays(np.array([0.0, 1 - 2**-53]), 1, 7).tolist() == [1, 7]
    assert delays(np.array([0.0, 0.99]), 3, 3).tolist() == [3, 3]


def words(*values: float) -> Any:
    """Messages of one entry by two agents."""
    return np.array(values, np.float32)[:, None]


def test_the_newest_message_stays_and_what_is_too_old_is_forgotten() -> None:
    memory, nothing, none = 2, 5, np.zeros((2, 2), bool)  # the longest delay is 2
    heard = Heard(np.zeros((2, 2, 1), np.float32), np.full((2, 2), nothing), np.zeros((2, 2), int))
    link = none.copy()
    link[0, 1] = True  # agent 0 hears agent 1
    heard = heard_after(heard, words(0.1, 0.2)[None], link[None], memory, nothing)
    assert (heard.message[0, 1, 0], heard.age[0, 1]) == (np.float32(0.2), 0)
    assert not heard.message[1].any()
    assert heard.age[1].tolist() == [5, 5]
    # In the next step the message before that one arrives late, at age 1: one of this step counts, an older one not.
    sent = np.stack([words(0.3, 0.4), words(0.5, 0.6), words(0.7, 0.8)])
    after = heard_after(heard, sent, np.stack([none, none, link]), memory, nothing)
    assert (after.message[0, 1, 0], after.age[0, 1]) == (np.float32(0.2), 1)
    after = heard_after(heard, sent, np.stack([link, none, link]), memory, nothing)
    assert (after.message[0, 1, 0], after.age[0, 1]) == (np.float32(0.4), 0)
    for expected in ((0.2, 1), (0.2, 2), (0.0, 5), (0.0, 5)):
        heard = heard_after(heard, words(0.0, 0.0)[None], none[None], memory, nothing)
        assert (heard.message[0, 1, 0], heard.age[0, 1]) == (np.float32(expected[0]), expected[1])
    # It stays for as long after it arrived, however long it was on its way.
    heard = heard_after(heard, sent, np.stack([none, none, link]), memory, nothing)
    for expected in ((0.8, 2), (0.8, 3), (0.8, 4), (0.0, 5)):
        assert (heard.message[0, 1, 0], heard.age[0, 1]) == (np.float32(expected[0]), expected[1])
        heard = heard_after(heard, words(0.0, 0.0)[None], none[None], memory, nothing)


def test_leading_axes_are_worlds() -> None:
    rng = np.random.default_rng(3)
    ages, stays = rng.integers(0, 6, (5, 3, 3)), rng.integers(0, 3, (5, 3, 3))
    heard = Heard(rng.random((5, 3, 3, 2)).astype(np.float32), ages, stays)
    sent, arrives = rng.random((2, 5, 3, 2)).astype(np.float32), rng.random((2, 5, 3, 3)) < 0.4
    together = heard_after(heard, sent, arrives, 4, 6)
    for b in range(5):
        alone = heard_after(Heard(*(part[b] for part in heard)), sent[:, b], arrives[:, b], 4, 6)
        for one, row in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one[b], row)


def test_fading() -> None:
    heard, age = np.ones((2, 2, 3), np.float32), np.array([[0, 1], [2, 3]])
    np.testing.assert_allclose(faded(heard, age, 0.5)[..., 0], [[1, 0.5], [0.25, 0.125]])
    np.testing.assert_array_equal(faded(heard, age, 1.0), heard)
    np.testing.assert_array_equal(faded(heard, age, 0.0)[..., 0], [[1, 0], [0, 0]])
    assert faded(heard, age, 0.9).dtype == np.float32
