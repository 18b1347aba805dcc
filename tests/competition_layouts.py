"""Layouts of public competitions: file trees and headers only, written from memory of their pages on the data.

Where the header is not certain the source says "like". Images are generated. In the templates `n` is the number of the
image from 0, `c` its class, `k` the number of the class and `hot` the marks of columns of 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Layout:
    """A file tree, and what `eyeshot init` must make of it.

    Attributes:
        source: the competition or data set.
        classes: names of classes, which take turns.
        images: template of paths, with the number of files.
        tables: CSV files: header, template of a row, number of rows.
        found: entries of eyeshot.toml, with `/` for no entry; `images` and `classes` are numbers.
        says: words that the output must hold.
        error: pattern of the message, if the layout cannot be read without help.
        options: what is typed besides the folder.
        others: further files, empty.
    """

    source: str
    classes: tuple[str, ...]
    images: dict[str, int]
    tables: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    error: str = ""
    options: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


BREEDS = ("affenpinscher", "boxer", "golden_retriever")
LEAVES = ("healthy", "multiple_diseases", "rust", "scab")
SKIN = ("MEL", "NV", "BCC", "AK")
LAYOUTS: dict[str, Layout] = {
    "dog-breed": Layout(
        "Kaggle Dog Breed Identification (2017)", BREEDS,
        {"train/0a{n:030x}.jpg": 12, "test/0b{n:030x}.jpg": 5},
        {"labels.csv": ("id,breed", "0a{n:030x},{c}", 12),
         "sample_submission.csv": ("id," + ",".join(BREEDS), "0b{n:030x},0.33,0.33,0.33", 5)},
        {"train": "train", "test": "test", "labels": "labels.csv", "path_column": "id", "label_column": "breed",
         "file": "sample_submission.csv", "id_column": "id", "label_columns": list(BREEDS), "images": 12, "classes": 3},
    ),
    "cassava": Layout(
        "Kaggle Cassava Leaf Disease Classification (2021)", ("0", "1", "2", "3", "4"),
        {"train_images/10000{n:04}.jpg": 20, "test_images/2216849948.jpg": 1},
        {"train.csv": ("image_id,label", "10000{n:04}.jpg,{c}", 20),
         "sample_submission.csv": ("image_id,label", "2216849948.jpg,4", 1)},
        {"train": "train_images", "test": "test_images", "labels": "train.csv", "label_column": "label",
         "file": "sample_submission.csv", "id_column": "image_id", "label_columns": ["label"], "images": 20,
         "classes": 5},
        others=("label_num_to_disease_map.json", "train_tfrecords/ld_train00-1338.tfrec"),
    ),
    "plant-pathology-2020": Layout(
        "Kaggle Plant Pathology 2020 (FGVC7): one folder for both, columns of 0 and 1", LEAVES,
        {"images/Train_{n}.jpg": 16, "images/Test_{n}.jpg": 6},
        {"train.csv": ("image_id," + ",".join(LEAVES), "Train_{n},{hot}", 16),
         "test.csv": ("image_id", "Test_{n}", 6),
         "sample_submission.csv": ("image_id," + ",".join(LEAVES), "Test_{n},0.25,0.25,0.25,0.25", 6)},
        {"train": "images", "test": "/", "labels": "train.csv", "path_column": "image_id",
         "label_column": ",".join(LEAVES), "file": "sample_submission.csv", "images": 16, "classes": 4},
        says=("names 6 test images that lie among the training images", "give --test DIR"),
    ),
    "aptos": Layout(
        "Kaggle APTOS 2019 Blindness Detection", ("0", "1", "2", "3", "4"),
        {"train_images/0a{n:010x}.png": 20, "test_images/0b{n:010x}.png": 6},
        {"train.csv": ("id_code,diagnosis", "0a{n:010x},{c}", 20), "test.csv": ("id_code", "0b{n:010x}", 6),
         "sample_submission.csv": ("id_code,diagnosis", "0b{n:010x},0", 6)},
        {"train": "train_images", "test": "test_images", "labels": "train.csv", "path_column": "id_code",
         "label_column": "diagnosis", "file": "sample_submission.csv", "id_column": "id_code", "images": 20},
    ),
    "retinopathy": Layout(
        "Kaggle Diabetic Retinopathy Detection (2015)", ("0", "1", "2", "3", "4"),
        {"train/{n}_left.jpeg": 15, "test/{n}_right.jpeg": 4},
        {"trainLabels.csv": ("image,level", "{n}_left,{c}", 15),
         "sampleSubmission.csv": ("image,level", "{n}_right,0", 4)},
        {"train": "train", "test": "test", "labels": "trainLabels.csv", "path_column": "image", "label_column": "level",
         "file": "sampleSubmission.csv", "images": 15, "classes": 5},
    ),
    "dogs-vs-cats": Layout(
        "Kaggle Dogs vs. Cats Redux (2016): labels in the file names", ("cat", "dog"),
        {"train/{c}.{n}.jpg": 12, "test/{n}.jpg": 6},
        {"sample_submission.csv": ("id,label", "{n},0.5", 6)},
        error=r"no class folders.*'sample_submission\.csv' is about test images.*begin with 'cat' \(6\) and 'dog' \(6\)"
        ".*--labels-from-names",
    ),
    "dogs-vs-cats-named": Layout(
        "the same, with the way on that the error names", ("cat", "dog"),
        {"train/{c}.{n}.jpg": 12, "test/{n}.jpg": 6},
        {"sample_submission.csv": ("id,label", "{n},0.5", 6)},
        {"train": "train", "test": "test", "path_column": "path", "label_column": "label", "images": 12, "classes": 2,
         "file": "sample_submission.csv", "id_column": "id", "label_columns": ["label"]},
        options=("--labels-from-names",),
    ),
    "plant-seedlings": Layout(
        "Kaggle Plant Seedlings Classification (2017): class folders with spaces",
        ("Shepherds Purse", "Loose Silky-bent", "Common wheat"),
        {"train/{c}/{n:09x}.png": 12, "test/f{n:08x}.png": 5},
        {"sample_submission.csv": ("file,species", "f{n:08x}.png,Sugar beet", 5)},
        {"train": "train", "test": "test", "labels": "/", "file": "sample_submission.csv", "id_column": "file",
         "label_columns": ["species"], "images": 12, "classes": 3},
    ),
    "state-farm": Layout(
        "Kaggle State Farm Distracted Driver Detection (2016): class folders and a list with subjects",
        ("c0", "c1", "c2"),
        {"imgs/train/{c}/img_{n}.jpg": 12, "imgs/test/img_9{n}.jpg": 5},
        {"driver_imgs_list.csv": ("subject,classname,img", "p00{n},{c},img_{n}.jpg", 12),
         "sample_submission.csv": ("img,c0,c1,c2", "img_9{n}.jpg,0.1,0.1,0.1", 5)},
        {"train": "imgs/train", "test": "imgs/test", "labels": "driver_imgs_list.csv", "path_column": "img",
         "label_column": "classname", "id_column": "img", "images": 12, "classes": 3},
        says=("not used: 'subject'",),
    ),
    "imet": Layout(
        "Kaggle iMet Collection 2019 (FGVC6): several labels per image", ("147 616 813", "92 147", "616 92", "813"),
        {"train/10{n:014x}.png": 12, "test/20{n:014x}.png": 4},
        {"train.csv": ("id,attribute_ids", "10{n:014x},{c}", 12),
         "labels.csv": ("attribute_id,attribute_name", "{n},culture::a{n}", 9),
         "sample_submission.csv": ("id,attribute_ids", "20{n:014x},0 1 2", 4)},
        error=r"An image must have one label.*'attribute_ids'.*'147 616 813'.*--label-column attribute_ids",
    ),
    "inaturalist": Layout(
        "Kaggle iNaturalist 2019 (FGVC6): labels in JSON, folders in folders", ("Birds/153", "Birds/154", "Plants/900"),
        {"train_val2019/{c}/{n:032x}.jpg": 12, "test2019/f{n:031x}.jpg": 4},
        {"kaggle_sample_submission.csv": ("id,predicted", "{n},0", 4)},
        error=r"not clear what the classes.*2 folders hold 3 folders.*'train2019\.json'.*--labels",
        others=("train2019.json", "val2019.json", "test2019.json"),
    ),
    "leaf": Layout(
        "Kaggle Leaf Classification (2016): images by number, one folder for both, columns of numbers",
        ("Acer_Opalus", "Quercus_Rubra"),
        {"images/{n}.jpg": 16},
        {"train.csv": ("id,species,margin1,margin2,shape1,texture1", "{n},{c},0.00{n},0.01{n},0.5{n},0.02", 10),
         "test.csv": ("id,margin1,margin2,shape1,texture1", "1{n},0.00{n},0.01{n},0.5{n},0.02", 6),
         "sample_submission.csv": ("id,Acer_Opalus,Quercus_Rubra", "1{n},0.5,0.5", 6)},
        {"train": "images", "test": "/", "labels": "train.csv", "path_column": "id", "label_column": "species",
         "file": "sample_submission.csv", "images": 10, "classes": 2},
        says=("lie among the training images",),
    ),
    "humpback": Layout(
        "Kaggle Humpback Whale Identification (2018): the class is in a column 'Id'",
        ("w_f48451c", "w_c3d896a", "new_whale"),
        {"train/0a{n:06x}.jpg": 12, "test/0b{n:06x}.jpg": 4},
        {"train.csv": ("Image,Id", "0a{n:06x}.jpg,{c}", 12),
         "sample_submission.csv": ("Image,Id", "0b{n:06x}.jpg,new_whale w_f48451c", 4)},
        {"train": "train", "test": "test", "path_column": "Image", "label_column": "Id", "id_column": "Image",
         "images": 12, "classes": 3},
    ),
    "dacon": Layout(
        "like a Dacon image competition: paths with ./train, ids in the sample submission", ("고양이", "강아지"),
        {"train/TRAIN_{n:05}.jpg": 12, "test/TEST_{n:05}.jpg": 5},
        {"train.csv": ("id,img_path,label", "TRAIN_{n:05},./train/TRAIN_{n:05}.jpg,{c}", 12),
         "test.csv": ("id,img_path", "TEST_{n:05},./test/TEST_{n:05}.jpg", 5),
         "sample_submission.csv": ("id,label", "TEST_{n:05},0", 5)},
        {"train": "train", "test": "test", "labels": "train.csv", "path_column": "img_path", "label_column": "label",
         "file": "sample_submission.csv", "id_column": "id", "label_columns": ["label"], "images": 12, "classes": 2},
    ),
    "dacon-birds": Layout(
        "like the Dacon competition on birds (2024): every image twice, small and large", ("B000", "B001", "B002"),
        {"train/TRAIN_{n:05}.jpg": 12, "upscale_train/TRAIN_{n:05}.png": 12, "test/TEST_{n:05}.jpg": 5},
        {"train.csv": ("img_path,upscale_img_path,label",
                       "./train/TRAIN_{n:05}.jpg,./upscale_train/TRAIN_{n:05}.png,{c}", 12),
         "test.csv": ("id,img_path", "TEST_{n:05},./test/TEST_{n:05}.jpg", 5),
         "sample_submission.csv": ("id,label", "TEST_{n:05},B000", 5)},
        {"train": "train", "test": "test", "labels": "train.csv", "path_column": "img_path", "label_column": "label",
         "images": 12, "classes": 3},
        says=("Not used: 'upscale_train' (12 images)", "'upscale_img_path'"),
    ),
    "dacon-wallpaper": Layout(
        "like the Dacon competition on wallpaper defects (2023): Korean class folders, images by number",
        ("가구수정", "걸레받이수정", "곰팡이"),
        {"train/{c}/{n}.png": 12, "test/{n:03}.png": 5},
        {"test.csv": ("id,img_path", "TEST_{n:03},./test/{n:03}.png", 5),
         "sample_submission.csv": ("id,label", "TEST_{n:03},기타", 5)},
        {"train": "train", "test": "test", "labels": "/", "file": "sample_submission.csv", "id_column": "id",
         "images": 12, "classes": 3},
    ),
    "boostcamp-sketch": Layout(
        "like boostcamp AI Tech, ImageNet-Sketch (2024): paths from train/ and test/, class as name and as number",
        ("n01443537", "n01491361", "n01496331"),
        {"data/train/{c}/sketch_{n}.JPEG": 12, "data/test/{n}.JPEG": 6},
        {"data/train.csv": ("class_name,image_path,target", "{c},{c}/sketch_{n}.JPEG,{k}", 12),
         "data/test.csv": ("image_path", "{n}.JPEG", 6),
         "data/sample_submission.csv": ("ID,image_path,target", "{n},{n}.JPEG,0", 6)},
        {"train": "data/train", "test": "data/test", "labels": "data/train.csv", "path_column": "image_path",
         "file": "data/sample_submission.csv", "images": 12, "classes": 3},
    ),
    "boostcamp-mask": Layout(
        "boostcamp AI Tech, mask wearing (AI Stages, 2021): one folder per person, a row per person",
        ("000001_female_Asian_45", "000002_male_Asian_52"),
        {"train/images/{c}/mask{n}.jpg": 10, "eval/images/{n:040x}.jpg": 4},
        {"train/train.csv": ("id,gender,race,age,path", "00000{n},female,Asian,45,{c}", 2),
         "eval/info.csv": ("ImageID,ans", "{n:040x}.jpg,0", 4)},
        error=r"Column 'path' names folders, as '000001_female_Asian_45'.*one row per image.*--labels",
    ),
    "ham10000": Layout(
        "HAM10000 as on Kaggle (skin-cancer-mnist-ham10000): images in two folders, tables of pixels",
        ("bkl", "nv", "mel"),
        {"HAM10000_images_part_1/ISIC_002{n:04}.jpg": 6, "HAM10000_images_part_2/ISIC_003{n:04}.jpg": 6},
        {"HAM10000_metadata.csv": (
            "lesion_id,image_id,dx,dx_type,age,sex,localization",
            "HAM_000{n},ISIC_002{n:04},{c},histo,80.0,male,scalp\nHAM_001{n},ISIC_003{n:04},{c},histo,60.0,male,ear",
            6),
         "hmnist_8_8_L.csv": ("pixel0000,pixel0001,label", "{n},1{n},{k}", 12)},
        {"train": ".", "test": "/", "labels": "HAM10000_metadata.csv", "path_column": "image_id", "label_column": "dx",
         "file": "/", "images": 12, "classes": 3},
        says=("Test images: no folder found", "Sample submission: none found"),
    ),
    "isic-2019": Layout(
        "ISIC 2019 challenge: columns of 0.0 and 1.0, metadata beside", SKIN,
        {"ISIC_2019_Training_Input/ISIC_000{n:04}.jpg": 12, "ISIC_2019_Test_Input/ISIC_003{n:04}.jpg": 4},
        {"ISIC_2019_Training_GroundTruth.csv": ("image," + ",".join(SKIN), "ISIC_000{n:04},{hot:.1f}", 12),
         "ISIC_2019_Training_Metadata.csv": ("image,age_approx,anatom_site_general,lesion_id,sex",
                                             "ISIC_000{n:04},55.0,anterior torso,,female", 12),
         "ISIC_2019_Test_Metadata.csv": ("image,age_approx,anatom_site_general,sex",
                                         "ISIC_003{n:04},55.0,anterior torso,female", 4)},
        {"train": "ISIC_2019_Training_Input", "test": "ISIC_2019_Test_Input",
         "labels": "ISIC_2019_Training_GroundTruth.csv", "path_column": "image", "label_column": ",".join(SKIN),
         "images": 12, "classes": 4},
    ),
    "siim-isic-2020": Layout(
        "Kaggle SIIM-ISIC Melanoma (2020): several columns like labels, the sample submission decides", ("0", "1"),
        {"jpeg/train/ISIC_00{n:05}.jpg": 12, "jpeg/test/ISIC_01{n:05}.jpg": 4},
        {"train.csv": ("image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
                       "benign_malignant,target", "ISIC_00{n:05},IP_{n},male,45.0,torso,unknown,benign,{c}", 12),
         "test.csv": ("image_name,patient_id,sex,age_approx,anatom_site_general_challenge",
                      "ISIC_01{n:05},IP_9,male,45.0,torso", 4),
         "sample_submission.csv": ("image_name,target", "ISIC_01{n:05},0", 4)},
        {"train": "jpeg/train", "test": "jpeg/test", "labels": "train.csv", "label_column": "target",
         "id_column": "image_name", "images": 12, "classes": 2},
        says=("as in the sample submission",),
        others=("train/ISIC_0015719.dcm", "test/ISIC_0052060.dcm", "tfrecords/train00-2071.tfrec"),
    ),
    "cdiscount": Layout(
        "Kaggle Cdiscount Image Classification (2017): images inside BSON", (), {},
        {"category_names.csv": ("category_id,category_level1", "{n},AUTO", 5),
         "sample_submission.csv": ("_id,category_id", "{n},1000010653", 5)},
        error=r"holds no file that is one.*\.bson \(2\).*one file per image",
        others=("train.bson", "test.bson"),
    ),
    "digit-recognizer": Layout(
        "Kaggle Digit Recognizer: pixels in a CSV", (), {},
        {"train.csv": ("label,pixel0,pixel1", "{n},0,255", 8), "test.csv": ("pixel0,pixel1", "0,255", 4)},
        error=r"holds no file that is one.*\.csv \(2\).*one file per image",
    ),
    "archives": Layout(
        "any competition before it is unpacked", (), {}, error=r"\.zip \(2\).*Unpack the archives",
        others=("train.zip", "test.zip"),
    ),
    "paddy": Layout(
        "Kaggle Paddy Doctor (2022): class folders and a CSV that agree", ("blast", "normal", "tungro"),
        {"train_images/{c}/100{n:03}.jpg": 12, "test_images/200{n:03}.jpg": 4},
        {"train.csv": ("image_id,label,variety,age", "100{n:03}.jpg,{c},ADT45,{n}", 12),
         "sample_submission.csv": ("image_id,label", "200{n:03}.jpg,", 4)},
        {"train": "train_images", "test": "test_images", "labels": "train.csv", "label_column": "label", "images": 12,
         "classes": 3},
    ),
    "landmark": Layout(
        "Kaggle Google Landmark Recognition (2020): images in folders by the letters of their ids", ("1", "7", "27"),
        {"train/0/a/{k}/0a{k}{n:013x}.jpg": 12, "test/0/b/0/0b0{n:013x}.jpg": 4},
        {"train.csv": ("id,landmark_id", "0a{k}{n:013x},{c}", 12),
         "sample_submission.csv": ("id,landmarks", "0b0{n:013x},1 0.5", 4)},
        {"train": "train", "test": "test", "labels": "train.csv", "path_column": "id", "label_column": "landmark_id",
         "images": 12, "classes": 3},
    ),
    "intel-scenes": Layout(
        "Intel Image Classification as on Kaggle: a folder in a folder of the same name, a labelled test folder",
        ("buildings", "forest", "sea"),
        {"seg_train/seg_train/{c}/{n}.jpg": 12, "seg_test/seg_test/{c}/9{n}.jpg": 6, "seg_pred/seg_pred/8{n}.jpg": 4},
        found={"train": "seg_train/seg_train", "test": "seg_test", "labels": "/", "images": 12, "classes": 3},
        says=("Not used: 'seg_pred' (4 images)",),
    ),
    "chest-xray": Layout(
        "Chest X-Ray Images (Pneumonia) as on Kaggle: train, val and test with class folders", ("NORMAL", "PNEUMONIA"),
        {"train/{c}/IM-{n:04}.jpeg": 12, "val/{c}/IM-1{n:04}.jpeg": 4, "test/{c}/IM-2{n:04}.jpeg": 4},
        found={"train": "train", "test": "test", "labels": "/", "images": 12, "classes": 2},
        says=("Validation images: 'val' (4 images) is not stored", "--val"),
    ),
    "issue": Layout(
        "a folder with train and test, `img_path,target,class_name`, folds in a column, numbers without leading zeros",
        ("고양이", "개", "새"),
        {"root/train/{n:04}.png": 15, "root/test/{n:04}.png": 15},
        {"root/train.csv": ("img_path,target,class_name,fold", "{n},{k},{c},{n}", 15),
         "root/sample_submission.csv": ("img_path,target", "{n},0", 15)},
        {"train": "root/train", "test": "root/test", "labels": "root/train.csv", "path_column": "img_path",
         "label_column": "class_name", "file": "root/sample_submission.csv", "images": 15, "classes": 3},
        says=("Column 'fold' of the labels divides the images", "leading zeros left aside",
              "Column 'target' numbers the classes that 'class_name' names"),
    ),
}  # fmt: skip


class _Marks(str):
    """The marks of columns of 0 and 1; `{hot:.1f}` writes 1.0 and 0.0."""

    def __format__(self, spec: str) -> str:
        return ",".join(format(float(mark), spec) if spec else mark for mark in self.split(","))


def fill(template: str, number: int, classes: tuple[str, ...]) -> str:
    place = number % len(classes) if classes else 0
    marks = _Marks(",".join("1" if position == place else "0" for position in range(len(classes))))
    return template.format(n=number, c=classes[place] if classes else "", k=place, hot=marks)


def write_layout(layout: Layout, root: Path, *, times: int = 1) -> None:
    """Make the file tree, with images that all differ; `times` as many as the layout says."""
    root.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    for template, count in layout.images.items():
        for number in range(count * times):
            path = root / fill(template, number, layout.classes)
            path.parent.mkdir(parents=True, exist_ok=True)
            blobs = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            blobs.resize((32, 32), Image.Resampling.BICUBIC).save(path)
    for name, (header, row, count) in layout.tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        lines = [header, *(fill(row, number, layout.classes) for number in range(count * times))]
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in layout.others:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
