import numpy as np
import pytest
import torch
from tiny import CATEGORIES
from torch.utils.data import DataLoader
from toys import draw, exposure

from lavida.training.data import Batch, StepBatches, collate

SETTINGS = {"steps": 12, "seed": 3, "batch_size": 6, "clip_length": 3, "clip_share": 0.5, "templates": 4}


def contents(batch: Batch) -> list:
    """Everything in a batch, sample by sample."""
    return [
        (batch.frames[i].tolist(), batch.categories[i], batch.templates[i], batch.pixel_labels[i].tolist())
        for i in range(len(batch.frames))
    ]


@pytest.fixture
def batches() -> StepBatches:
    return StepBatches(draw, **SETTINGS)


def test_a_step_is_the_same_batch_in_any_order_and_any_instance(batches):
    forward = [contents(batches[step]) for step in range(4)]
    again = StepBatches(draw, **SETTINGS)
    assert [contents(again[step]) for step in (3, 1, 0, 2)] == [forward[step] for step in (3, 1, 0, 2)]
    assert forward[0] != forward[1]
    other_run = StepBatches(draw, **(SETTINGS | {"seed": 4}))
    assert contents(other_run[0]) != forward[0]


def test_workers_change_nothing(batches):
    alone = [contents(batches[step]) for step in range(2, 6)]
    loader = DataLoader(batches, batch_size=None, sampler=range(2, 6), num_workers=2)
    assert [contents(batch) for batch in loader] == alone


def test_the_parts_of_two_processes_are_the_whole_batch(batches):
    first, second = (StepBatches(draw, **SETTINGS, part=(rank, 2)) for rank in (0, 1))
    for step in range(4):
        whole = contents(batches[step])
        parts = contents(first[step]), contents(second[step])
        assert abs(len(parts[0]) - len(parts[1])) <= 1
        assert sorted(map(str, parts[0] + parts[1])) == sorted(map(str, whole))


def test_clip_steps_hold_fewer_but_longer_samples(batches):
    shapes = [tuple(batches[step].frames.shape[:2]) for step in range(len(batches))]
    assert set(shapes) == {(6, 1), (2, 3)}  # [B, T]
    assert len(batches) == 12


def test_without_clips_every_sample_is_a_picture():
    pictures = StepBatches(draw, **(SETTINGS | {"clip_share": 0.0}))
    assert {pictures[step].frames.shape[1] for step in range(8)} == {1}


def test_samples_of_a_batch_differ(batches):
    step = next(step for step in range(12) if batches[step].frames.shape[1] == 1)
    assert len({str(sample) for sample in contents(batches[step])}) == 6


def test_collate_pads_categories_and_shrinks_masks():
    batch = collate(
        [
            exposure(2, categories=CATEGORIES[:2], true=1, size=(64, 128)),
            exposure(2, categories=CATEGORIES[:4], size=(64, 128), ignored_rows=12),
        ],
        templates=[3, 0],
    )
    assert batch.frames.shape == (2, 2, 3, 64, 128) and batch.frames.dtype == torch.uint8
    assert batch.pixel_labels.shape == batch.pixel_valid.shape == (2, 2, 16, 32)  # stride 4
    assert batch.category_masks.shape == (2, 2, 4, 8, 16)  # stride 8
    assert batch.evidence_valid.shape == (2, 2, 8, 16)
    assert batch.category_valid.tolist() == [[True, True, False, False], [True, True, True, True]]
    assert batch.categories == [list(CATEGORIES[:2]), list(CATEGORIES[:4])] and batch.templates == [3, 0]
    assert batch.frame_labels.tolist() == [[1, 1], [0, 0]]

    square = torch.zeros(16, 32)
    square[4:12, 8:16] = 1
    assert torch.equal(batch.pixel_labels[0, 1], square) and batch.pixel_labels[1].sum() == 0
    assert batch.category_masks[0, :, 1].sum() == 2 * 4 * 4 and batch.category_masks.sum() == 2 * 4 * 4
    assert torch.equal(batch.category_masks[0, 0, 1, 2:6, 4:8], torch.ones(4, 4))
    assert batch.pixel_valid[0].all() and batch.evidence_valid[0].all()
    assert (~batch.pixel_valid[1]).sum() == 2 * 3 * 32 and not batch.pixel_valid[1, :, :3].any()
    assert not batch.evidence_valid[1, :, :2].any() and batch.evidence_valid[1, :, 2:].all()  # half known is not known


def test_partly_covered_cells_keep_their_share():
    sample = exposure(1, true=0)
    mask = sample.pixel_labels
    mask[:] = False
    mask[0, 0, 0] = True
    batch = collate([sample], [0])
    assert batch.pixel_labels[0, 0, 0, 0] == pytest.approx(1 / 16)
    assert batch.category_masks[0, 0, 0, 0, 0] == pytest.approx(1 / 64)


def test_frames_keep_their_colours_and_order():
    from lavida.exposure.sample import ExposedSample

    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    frames[1, 3, 5] = (10, 20, 30)
    sample = ExposedSample(frames, ("dog",), np.zeros(2, np.float32), np.zeros((2, 8, 8), bool), {}, None, "toy", "0")
    batch = collate([sample], [0])
    assert batch.frames[0, 1, :, 3, 5].tolist() == [10, 20, 30] and batch.frames[0, 0].sum() == 0


def test_a_batch_moves_with_all_its_tensors():
    moved = collate([exposure()], [2]).to(torch.device("meta"))
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 11 and all(tensor.is_meta for tensor in tensors)
    assert moved.templates == [2]
