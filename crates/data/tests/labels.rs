//! Layouts of marked pictures: what each becomes, and that each kind of wrong file is refused with its place.

#![allow(clippy::unwrap_used)]

use arrow_array::cast::AsArray;
use lepton_core::marks::{Marks, MarksColumn, NamedPoint};
use lepton_core::{BoundingBox, Cancel, ColumnKind, Error, ErrorCode, Limits, Mask, ObjectMask, Result, Silent, Split};
use lepton_data::{CollectSettings, Dataset, Format, PartsPolicy, collect};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> &Folder {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A grey picture.
    fn picture(&self, name: &str, width: u32, height: u32) -> &Folder {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(width, height, image::Luma([9])).save(path).unwrap();
        self
    }

    fn collect(&self, settings: &CollectSettings) -> Result<Dataset> {
        collect(settings, self.0.path(), None, &Limits::default(), &Silent, &Cancel::default())
    }

    fn read(&self) -> Result<Dataset> {
        self.collect(&at("."))
    }

    /// The error of reading it: its sentence, and the file's name.
    fn refused(&self, file: &str, says: &str) -> Error {
        let error = self.read().unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(error.place().file.as_ref().is_some_and(|path| path.ends_with(file)), "{file}: {error}");
        error
    }
}

fn at(path: &str) -> CollectSettings {
    CollectSettings { path: Some(path.into()), ..CollectSettings::default() }
}

fn marks<M: Marks>(data: &Dataset, split: Split, column: &str, row: usize) -> Vec<M> {
    MarksColumn::new(data.parts[&split].column_by_name(column).unwrap()).unwrap().get(row)
}

fn box_of(left: f32, top: f32, width: f32, height: f32, label: &str) -> BoundingBox {
    BoundingBox { left, top, width, height, label: label.to_owned() }
}

/// What pycocotools makes of the same polygons and runs; see reference/coco_masks.py.
#[test]
fn masks_are_those_of_pycocotools() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/coco_masks.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let side = |key: &str| case[key].as_u64().unwrap() as u32;
        let (height, width) = (side("height"), side("width"));
        let polygons: Vec<Vec<f64>> = serde_json::from_value(case["polygons"].clone()).unwrap();
        let counts: Vec<u32> = serde_json::from_value(case["counts"].clone()).unwrap();
        let drawn = ObjectMask::from_polygons("a", height, width, &polygons).unwrap();
        let packed = ObjectMask::from_compressed("a", height, width, case["packed"].as_str().unwrap()).unwrap();
        let plain = ObjectMask::new("a", height, width, counts).unwrap();
        let pixels = |object: &ObjectMask| {
            let mut mask = Mask::empty(height as usize, width as usize);
            object.draw(&mut mask, 1).unwrap();
            mask
        };
        assert_eq!(pixels(&drawn), pixels(&plain), "polygons of {case}");
        assert_eq!(pixels(&packed), pixels(&plain), "packed runs of {case}");
        assert_eq!(plain.area(), case["area"].as_u64().unwrap());
        assert_eq!(ObjectMask::of_mask("a", &pixels(&plain), 1).unwrap().area(), plain.area(), "a round trip");
        let sides: [f32; 4] = serde_json::from_value(case["box"].clone()).unwrap();
        assert_eq!(plain.bounding_box(), Some(box_of(sides[0], sides[1], sides[2], sides[3], "a")));
    }
}

fn coco() -> Value {
    json!({
        "images": [
            {"id": 7, "file_name": "a.png", "width": 10, "height": 8},
            {"id": 9, "file_name": "b.png"},
        ],
        "categories": [
            {"id": 3, "name": "cat", "keypoints": ["nose", "tail"]},
            {"id": 5, "name": "dog"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 4, 5], "segmentation": [[1, 2, 5, 2, 5, 7, 1, 7]],
             "keypoints": [2, 3, 2, 0, 0, 0], "area": 20, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [0, 0, 10.5, 8],
             "segmentation": {"size": [8, 10], "counts": [0, 80]}, "iscrowd": 1},
        ],
    })
}

fn coco_folder(file: &Value) -> Folder {
    let folder = Folder::new();
    folder.picture("train2017/a.png", 10, 8).picture("train2017/b.png", 4, 4);
    folder.write("annotations/instances_train2017.json", &file.to_string());
    folder
}

#[test]
fn coco_becomes_boxes_masks_and_key_points() {
    let data = coco_folder(&coco()).read().unwrap();
    let kinds: Vec<_> = data.schema.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    let wanted = [
        ("image", ColumnKind::Image),
        ("boxes", ColumnKind::Boxes),
        ("masks", ColumnKind::Masks),
        ("key_points", ColumnKind::KeyPoints),
    ];
    assert_eq!((kinds.as_slice(), data.target.as_str()), (&wanted[..], "boxes"));
    assert_eq!((data.rows(Split::Train), data.source.len()), (2, 3));
    let boxes: Vec<BoundingBox> = marks(&data, Split::Train, "boxes", 0);
    assert_eq!(boxes, [box_of(1.0, 2.0, 4.0, 5.0, "cat"), box_of(0.0, 0.0, 10.0, 8.0, "dog")], "cut at the edge");
    let masks: Vec<ObjectMask> = marks(&data, Split::Train, "masks", 0);
    assert_eq!(masks.iter().map(ObjectMask::area).collect::<Vec<_>>(), [20, 80]);
    let points: Vec<NamedPoint> = marks(&data, Split::Train, "key_points", 0);
    assert_eq!((points.len(), points[0].name.as_str(), points[0].point.visible), (1, "nose", true));
    assert!(marks::<BoundingBox>(&data, Split::Train, "boxes", 1).is_empty());
    assert_ne!(data.digest().unwrap(), {
        let mut other = coco();
        other["annotations"][0]["bbox"][0] = json!(2);
        coco_folder(&other).read().unwrap().digest().unwrap()
    });
}

#[test]
fn a_coco_file_may_be_named_and_its_pictures_lie_elsewhere() {
    let folder = coco_folder(&coco());
    let settings = CollectSettings { format: Some(Format::Coco), ..at("annotations/instances_train2017.json") };
    assert_eq!(folder.collect(&settings).unwrap().rows(Split::Train), 2);
    fs::rename(folder.0.path().join("train2017"), folder.0.path().join("elsewhere")).unwrap();
    let error = folder.collect(&settings).unwrap_err();
    assert_eq!(error.place().key.as_deref(), Some("collect.images"), "{error}");
    let named = CollectSettings { images: Some("elsewhere".into()), ..settings };
    assert_eq!(folder.collect(&named).unwrap().rows(Split::Train), 2);
}

#[test]
fn wrong_coco_files_are_refused_with_their_place() {
    let change = |pointer: &str, value: Value| {
        let mut file = coco();
        *file.pointer_mut(pointer).unwrap() = value;
        coco_folder(&file)
    };
    let json_file = "instances_train2017.json";
    for (pointer, value, key, says) in [
        ("/annotations/0/image_id", json!(8), "annotations[0]", "no image 8"),
        ("/annotations/1/category_id", json!(4), "annotations[1]", "no category 4"),
        ("/annotations/0/bbox", json!([8, 2, 4, 5]), "annotations[0]", "outside of its picture"),
        ("/annotations/0/bbox", json!([1, 2, 0, 5]), "annotations[0]", "has no area"),
        ("/annotations/0/segmentation", json!([[1, 2, 50, 2, 5, 7]]), "annotations[0]", "outside of its picture"),
        ("/annotations/0/segmentation", json!([[1, 2, 3, 4]]), "annotations[0]", "three points"),
        ("/annotations/1/segmentation/counts", json!([0, 79]), "annotations[1]", "add up to 79"),
        ("/annotations/1/segmentation/counts", json!("~"), "annotations[1]", "cannot be read"),
        ("/annotations/1/segmentation/size", json!([10, 8]), "annotations[1]", "segmentation is of"),
        ("/annotations/0/keypoints", json!([1, 1, 2]), "annotations[0]", "3 numbers for the 2 key points"),
        ("/annotations/0/keypoints", json!([11, 1, 2, 0, 0, 0]), "annotations[0]", "outside of its picture"),
        ("/annotations/0/keypoints", json!([1, 1, 3, 0, 0, 0]), "annotations[0]", "visibility 3"),
        ("/images/0/width", json!(11), "images[0]", "the file says 11 x 8"),
        ("/images/1/file_name", json!("c.png"), "images[1].file_name", "is missing"),
        ("/images/1/file_name", json!("../annotations/x.png"), "images[1].file_name", "leads out of"),
        ("/images/1/id", json!(7), "images", "same id"),
        ("/categories/1/id", json!(3), "categories[1]", "there twice"),
    ] {
        let error = change(pointer, value).refused(json_file, says);
        assert_eq!(error.place().key.as_deref(), Some(key), "{error}");
    }
    let text = coco().to_string();
    for cut in [text.len() / 4, text.len() / 2, text.len() - 1] {
        let folder = coco_folder(&coco());
        folder.write("annotations/instances_train2017.json", &text[..cut]);
        folder.refused(json_file, "cut off");
    }
    let folder = coco_folder(&coco());
    let limits = Limits { label_file_bytes: 100, ..Limits::default() };
    let error = collect(&at("."), folder.0.path(), None, &limits, &Silent, &Cancel::default()).unwrap_err();
    assert!(error.code() == ErrorCode::TooLarge && error.message().contains("label_file_bytes"), "{error}");
    let table = CollectSettings { delimiter: Some(';'), ..at(".") };
    assert_eq!(folder.collect(&table).unwrap_err().place().key.as_deref(), Some("collect.delimiter"));
}

fn yolo(labels: &str) -> Folder {
    let folder = Folder::new();
    folder.write("data.yaml", "train: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n");
    folder.picture("images/train/a.png", 10, 20).picture("images/train/b.png", 10, 10).picture(
        "images/val/c.png",
        4,
        4,
    );
    folder.write("labels/train/a.txt", labels);
    folder
}

#[test]
fn yolo_becomes_boxes_and_masks() {
    let data = yolo("1 0.5 0.25 0.4 0.5\n0 0.5 0.5 1 1\n").read().unwrap();
    assert_eq!((data.rows(Split::Train), data.rows(Split::Valid), data.schema.columns.len()), (2, 1, 2));
    let boxes: Vec<BoundingBox> = marks(&data, Split::Train, "boxes", 0);
    assert_eq!(boxes, [box_of(3.0, 0.0, 4.0, 10.0, "dog"), box_of(0.0, 0.0, 10.0, 20.0, "cat")]);
    assert!(marks::<BoundingBox>(&data, Split::Train, "boxes", 1).is_empty(), "without a text file: no objects");

    let data = yolo("0 0.1 0.1 0.5 0.1 0.5 0.6 0.1 0.6\n").read().unwrap();
    let masks: Vec<ObjectMask> = marks(&data, Split::Train, "masks", 0);
    assert_eq!((masks.len(), masks[0].area()), (1, 40));
    assert_eq!(marks::<BoundingBox>(&data, Split::Train, "boxes", 0), [box_of(1.0, 2.0, 4.0, 10.0, "cat")]);

    let folder = yolo("0 0.5 0.5 0.5 0.5 0.25 0.5 2 0.75 0.5 1 0 0 0\n");
    folder.write("data.yaml", "train: images/train\nkpt_shape: [3, 3]\nnames:\n  0: cat\n  1: dog\n");
    let points: Vec<NamedPoint> = marks(&folder.read().unwrap(), Split::Train, "key_points", 0);
    assert_eq!(points.len(), 2);
    assert_eq!((points[0].point.x, points[0].point.y, points[0].point.visible), (2.0, 9.5, true));
    assert!(!points[1].point.visible);
}

#[test]
fn wrong_yolo_files_are_refused_with_their_line() {
    for (labels, says) in [
        ("0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1", "class 2 is out of range"),
        ("0 0.5 0.5 0.1 0.1\n-1 0.5 0.5 0.1 0.1", "no class number"),
        ("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1", "3 numbers"),
        ("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 x", "\"x\" is no number"),
        ("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 1.5", "no fraction"),
        ("0 0.5 0.5 0.1 0.1\n0 0.5 NaN 0.1 0.1", "no fraction"),
        ("0 0.5 0.5 0.1 0.1\n0 0.9 0.5 0.9 0.1", "outside of its picture"),
        ("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0 0.1", "has no area"),
    ] {
        let error = yolo(labels).refused("a.txt", says);
        assert_eq!(error.place().row, Some(2), "{error}");
    }
    let with = |yaml: &str| {
        let folder = yolo("");
        folder.write("data.yaml", yaml);
        folder
    };
    let names = "names: [cat, dog]\n";
    with(&format!("train: ../images/train\n{names}")).refused("data.yaml", "leads out of");
    with(&format!("path: /\ntrain: images/train\n{names}")).refused("data.yaml", "leads out of");
    with(&format!("train: images/train\nnc: 3\n{names}")).refused("data.yaml", "3 classes are announced");
    with("train: images/train\nnames:\n  0: cat\n  2: dog\n").refused("data.yaml", "without a gap");
    with("train: images/train\n").refused("data.yaml", "no names");
    with(names).refused("data.yaml", "no folder of training pictures");
    with(&format!("train: images/none\n{names}")).refused("none", "folder");
    let folder = yolo("");
    folder.write("labels/train/gone.txt", "0 0.5 0.5 0.1 0.1\n").refused("gone.txt", "is missing");
}

fn voc(corners: [&str; 4]) -> Folder {
    let [left, top, right, bottom] = corners;
    let folder = Folder::new();
    folder.picture("JPEGImages/a.jpg", 10, 8).picture("JPEGImages/b.jpg", 4, 4);
    let object = format!(
        "<object>\n<name>cat</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>\
         </bndbox></object>"
    );
    let size = |width: u32, height: u32| {
        format!("<size><width>{width}</width><height>{height}</height><depth>3</depth></size>")
    };
    folder.write("Annotations/a.xml", &format!("<annotation>\n{}\n{object}</annotation>", size(10, 8)));
    folder.write("Annotations/b.xml", &format!("<annotation>{}</annotation>", size(4, 4)));
    folder
}

#[test]
fn voc_becomes_boxes_by_part() {
    let folder = voc(["1", "1", "10", "8"]);
    let data = folder.read().unwrap();
    assert_eq!(data.rows(Split::Train), 2);
    assert_eq!(
        marks::<BoundingBox>(&data, Split::Train, "boxes", 0),
        [box_of(0.0, 0.0, 10.0, 8.0, "cat")],
        "the whole picture"
    );
    folder.write("ImageSets/Main/train.txt", "a\n").write("ImageSets/Main/test.txt", "b\n");
    let data = folder.read().unwrap();
    assert_eq!((data.rows(Split::Train), data.rows(Split::Test)), (1, 1));
}

#[test]
fn wrong_voc_files_are_refused_with_their_line() {
    for (corners, says) in [
        (["1", "1", "20", "8"], "outside of its picture"),
        (["5", "1", "3", "8"], "has no area"),
        (["1", "x", "3", "8"], "<ymin> is \"x\""),
        (["", "1", "3", "8"], "<xmin> is missing"),
    ] {
        let error = voc(corners).refused("a.xml", says);
        assert!(matches!(error.place().row, Some(3 | 4)), "{error}");
    }
    let folder = voc(["1", "1", "3", "3"]);
    folder.picture("JPEGImages/b.jpg", 5, 5).refused("b.xml", "the file says 4 x 4");
    let folder = voc(["1", "1", "3", "3"]);
    let text = fs::read_to_string(folder.0.path().join("Annotations/a.xml")).unwrap();
    folder.write("Annotations/a.xml", &text[..text.len() / 2]).refused("a.xml", "cannot be read");
    folder
        .write("Annotations/a.xml", "<!DOCTYPE a [<!ENTITY x \"y\">]><annotation>&x;</annotation>")
        .refused("a.xml", "cannot be read");
    folder.write("Annotations/a.xml", "<other/>").refused("a.xml", "<annotation>");
    let folder = voc(["1", "1", "3", "3"]);
    folder.write("ImageSets/Main/train.txt", "a\n../b\n").refused("train.txt", "leads out of");
    folder.write("ImageSets/Main/train.txt", "a\nc\n").refused("train.txt", "is missing");
    fs::remove_file(folder.0.path().join("JPEGImages/a.jpg")).unwrap();
    folder.write("ImageSets/Main/train.txt", "a\n").refused("a.xml", "no picture \"a\"");
}

fn mvtec() -> Folder {
    let folder = Folder::new();
    for name in ["train/good/0.png", "train/good/1.png", "test/good/0.png", "test/crack/0.png"] {
        folder.picture(name, 6, 4);
    }
    let mut mask = image::GrayImage::from_pixel(6, 4, image::Luma([0]));
    mask.put_pixel(2, 1, image::Luma([255]));
    mask.put_pixel(3, 1, image::Luma([255]));
    fs::create_dir_all(folder.0.path().join("ground_truth/crack")).unwrap();
    mask.save(folder.0.path().join("ground_truth/crack/0_mask.png")).unwrap();
    folder
}

#[test]
fn mvtec_becomes_good_and_defective_pictures_with_masks() {
    let folder = mvtec();
    let data = folder.read().unwrap();
    assert_eq!((data.rows(Split::Train), data.rows(Split::Test), data.target.as_str()), (2, 2, "label"));
    let labels = data.parts[&Split::Test].column_by_name("label").unwrap().as_string::<i32>().clone();
    assert_eq!((labels.value(0), labels.value(1)), ("defect", "good"));
    let masks: Vec<ObjectMask> = marks(&data, Split::Test, "masks", 0);
    assert_eq!((masks[0].label.as_str(), masks[0].area()), ("crack", 2));
    assert_eq!(masks[0].bounding_box(), Some(box_of(2.0, 1.0, 2.0, 1.0, "crack")));
    assert!(marks::<ObjectMask>(&data, Split::Test, "masks", 1).is_empty());
    let pooled = CollectSettings { parts: PartsPolicy::Pooled, ..at(".") };
    let data = folder.collect(&pooled).unwrap();
    assert_eq!((data.rows(Split::Train), data.parts.len()), (4, 1));
    let (data, dropped) = data.without_marks().unwrap();
    assert_eq!((dropped.as_slice(), data.schema.columns.len()), (&["masks".to_owned()][..], 2));
    let unknown = CollectSettings { target: Some("lable".into()), ..at(".") };
    assert_eq!(folder.collect(&unknown).unwrap_err().place().key.as_deref(), Some("collect.target"));
}

#[test]
fn wrong_mvtec_folders_are_refused() {
    let folder = mvtec();
    folder.picture("ground_truth/crack/0_mask.png", 5, 4).refused("0_mask.png", "the mask has 5 x 4 pixels");
    let path = folder.0.path().join("ground_truth/crack/0_mask.png");
    image::GrayImage::from_pixel(6, 4, image::Luma([0])).save(&path).unwrap();
    folder.refused("0_mask.png", "is empty");
    fs::remove_file(path).unwrap();
    folder.refused("0_mask.png", "is missing");
    let folder = mvtec();
    folder.picture("train/crack/0.png", 6, 4).refused("crack", "good pictures only");
}
