"""What the Live screen shows, of a run in each of its states."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from rnnscope.charts.canvas import THROUGH_SHARE
from rnnscope.charts.palette import blend
from rnnscope.recording.events import Status
from rnnscope.recording.writer import Writer
from rnnscope.tui.app import ScopeApp
from tests.fakes import add_fake_steps, fake_config, fake_gradients, fake_step
from tests.tui.screen import drawn, live, opened, panel, panel_text, until

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_header_four_panels_and_keys(finished: Path, size: tuple[int, int]) -> None:
    async with opened(finished, size) as pilot:
        text = drawn(pilot)
        lines = text.split("\n")
        assert len(lines) == size[1]
        assert all(len(line) == size[0] for line in lines)
        for expected in ("rnnscope", "shakespeare.txt", "lstm 2×32", "✓ finished", "step 300/10,000", "val 2.4"):
            assert expected in text
        for expected in ("● validation", "layer 1", "‖∂L_T/∂h_t‖", "reach", "unit", "teacher forcing", "free running"):
            assert expected in text
        assert "f enlarge" in lines[-1] or size[0] < 200  # else the screens and the keys of the panel fill the line
        assert lines[-1].rstrip().endswith("q quit")


async def test_loss_is_in_nats_and_bits(finished: Path) -> None:
    async with opened(finished) as pilot:
        assert "val 2.456 nats = 3.54 bits" in panel_text(pilot, "loss")


async def test_the_gradient_says_what_it_is(finished: Path) -> None:
    async with opened(finished, (200, 60)) as pilot:
        text = panel_text(pilot, "gradient")
        assert "reach: L_T = last character's loss · nats, per sample, before clipping · band 10–90%" in text
        assert "floor: 0 or underflow" in text
        assert "lag T−t in characters" in text
        assert "clip" in text
        await pilot.press("r")
        text = panel_text(pilot, "gradient")
        assert "total: L = all losses of the window · nats, per sample, before clipping" in text
        assert "‖∂L/∂h_t‖" in text
        assert "floor" not in text


async def test_both_texts_stand_side_by_side(finished: Path) -> None:
    async with opened(finished) as pilot:
        lines = panel_text(pilot, "sampling").split("\n")
        title = lines[0].index("┬")
        assert [line[title] for line in lines[1:8]] == ["│"] * 7  # the right title begins where the right half does
        heads = next(line for line in lines if "truth, coloured by p" in line)
        assert "reads its own text, T 0.8" in heads
        assert any("It is the east, and Juliet" in line and "and the sing" in line for line in lines)
        assert any("unrelated 1.05" in line for line in lines)


async def test_panels_without_data_say_what_they_wait_for(tmp_path: Path) -> None:
    writer = Writer.create(tmp_path / "run", fake_config(), {})
    async with opened(tmp_path / "run") as pilot:
        text = drawn(pilot)
        for name in ("first training step", "first measurement of the gradient", "first sample", "first comparison"):
            assert f"waiting for the {name} …" in text
        add_fake_steps(writer, 0, 1)
        await until(pilot, lambda: "waiting for" not in drawn(pilot))
    writer.close()


async def test_a_screen_too_small_says_so_until_it_is_enlarged(finished: Path) -> None:
    async with opened(finished, (50, 12)) as pilot:
        assert "50x12 is too small" in drawn(pilot)
        assert "┌" not in drawn(pilot)
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: "too small" not in drawn(pilot))
        assert "teacher forcing" in drawn(pilot)


async def test_the_screen_stays_when_the_run_ends(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        assert "● training" in drawn(pilot)
        training.event(300, Status("finished", "300 steps"))
        training.close()
        await until(pilot, lambda: "✓ finished" in drawn(pilot))
        assert "● validation" in drawn(pilot)


async def test_a_dead_worker_shows_its_log_and_keeps_the_recording(training: Writer) -> None:
    (training.folder / "worker.log").write_text("Traceback [bold]\n\x1b[31mMemoryError\x07\n")
    async with opened(training.folder) as pilot:
        training._lock.release()  # what the kernel does when the process is killed
        await until(pilot, lambda: "the worker ended without a word" in drawn(pilot))
        text = drawn(pilot)
        assert "✗ interrupted" in text
        assert "Traceback [bold]" in text
        assert "␛[31mMemoryError␇" in text
        assert "● validation" in text


async def test_a_missing_recording_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "nothing") as pilot:
        assert str(tmp_path)[:20] in drawn(pilot)


async def test_nothing_is_redrawn_that_has_not_changed(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        names = ("loss", "gradient", "activations", "sampling")
        await until(pilot, lambda: all(panel(pilot, name).paints for name in names))
        before = {name: panel(pilot, name).paints for name in names}
        add_fake_steps(training, 300, 1)
        await until(pilot, lambda: panel(pilot, "loss").paints > before["loss"])
        assert panel(pilot, "activations").paints == before["activations"]
        assert panel(pilot, "sampling").paints == before["sampling"]
        assert panel(pilot, "gradient").paints == before["gradient"]  # its clip rate is on the frame
        settled = {name: panel(pilot, name).paints for name in names}
        looks = live(pilot).session.newest
        await until(pilot, lambda: live(pilot).session.newest is not looks)
        await pilot.pause(0.1)
        assert {name: panel(pilot, name).paints for name in names} == settled
    training.close()


async def test_the_first_frame_is_timed_and_waits_for_nothing(tmp_path: Path) -> None:
    app = ScopeApp(tmp_path / "nothing", mono=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.first_frame is not None)
        assert app.first_frame is not None
        assert 0 < app.first_frame < 10


@pytest.mark.parametrize("size", SIZES)
async def test_each_measurement_says_at_which_step_it_was_taken(training: Writer, size: tuple[int, int]) -> None:
    add_fake_steps(training, 300, 39)
    async with opened(training.folder, size) as pilot:
        for name in ("gradient", "activations"):
            assert "step 300" in panel_text(pilot, name).split("\n")[0], name
        assert "step 300" in "".join(panel_text(pilot, "sampling").split("\n")[:2])
        assert "step 339/10,000" in drawn(pilot)
    training.close()


async def test_an_old_measurement_is_told_from_a_new_one(training: Writer) -> None:
    rng = np.random.default_rng(0)
    async with opened(training.folder) as pilot:
        for step in range(301, 702):  # far more than two cadences, and no measurement since
            training.scalar(fake_step(step, rng))
        training.flush(force=True)
        await until(pilot, lambda: "old: step 300" in panel_text(pilot, "gradient"))
        training.event(701, fake_gradients(training.config, rng))
        training.flush(force=True)
        await until(pilot, lambda: "─ step 701 ─" in panel_text(pilot, "gradient"))
    training.close()


async def test_how_many_steps_were_clipped_is_on_the_frame(finished: Path) -> None:
    async with opened(finished) as pilot:
        last = panel_text(pilot, "gradient").split("\n")[-1]
        assert re.search(r"clipped \d+% of the last 100 steps, to ×0\.\d\d on average", last)


async def test_a_curve_at_the_reference_distance_does_not_hide_it(finished: Path) -> None:
    async with opened(finished) as pilot:
        text = panel_text(pilot, "sampling")
        assert "╌ unrelated 1.05" in text
        palette = panel(pilot, "sampling").look.palette
        row = next(y for y, line in enumerate(text.split("\n")) if "1.0┤" in line)
        strip = panel(pilot, "sampling").render_line(row)
        dashes = strip.text[strip.text.index("1.0┤") + 4 : -1]
        through = blend(palette.lines[1], palette.background, THROUGH_SHARE)
        covered = [s for s in strip if s.style and s.style.bgcolor and s.style.bgcolor.triplet == through]
        assert dashes.count("╌") + sum(len(s.text) for s in covered) >= len(dashes) - 1
