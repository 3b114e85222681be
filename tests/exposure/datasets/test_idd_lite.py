from label_trees import columns_of, write_labels, write_picture

from lavida.exposure.datasets import IddLite


def test_255_is_ignored_and_a_scene_is_a_folder(tmp_path):
    write_picture(tmp_path / "leftImg8bit" / "val" / "119" / "frame1_image.jpg", width=4)
    write_labels(tmp_path / "gtFine" / "val" / "119" / "frame1_label.png", [0, 2, 255, 6])
    write_labels(tmp_path / "gtFine" / "val" / "119" / "frame1_inst_label.png", [9, 9, 9, 9])
    dataset = IddLite(tmp_path, "heldout")
    (sample,) = dataset
    assert {name: columns_of(mask) for name, mask in sample.masks.items()} == {"road": [0], "person": [1], "sky": [3]}
    assert columns_of(sample.ignore) == [2] and sample.key == "119/frame1" and sample.scene == "119"
    assert [path.name for path in dataset.files()] == ["frame1_image.jpg", "frame1_label.png"]
    assert dataset.counts() == {"images": 1}
