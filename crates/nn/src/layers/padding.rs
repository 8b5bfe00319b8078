//! What surrounds a picture or a sequence before a window slides over it, in files and in pixels.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What surrounds a picture before a window slides over it. In files: `"valid"`, `"same"`, one number for all
/// sides, `[height, width]`, or `[top, left, bottom, right]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: the window stays inside.
    #[default]
    Valid,
    /// As much as makes the output `ceil(side / stride)` long; an odd cell goes to the bottom and the right.
    Same,
    /// Given for each edge.
    Explicit {
        /// Rows above.
        top: usize,
        /// Columns to the left.
        left: usize,
        /// Rows below.
        bottom: usize,
        /// Columns to the right.
        right: usize,
    },
}

/// What surrounds a sequence before a window slides over it. In files: `"valid"`, `"same"`, `"causal"`, one number for
/// both ends, or `[before, after]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimePadding {
    /// Nothing: the window stays inside.
    #[default]
    Valid,
    /// As much as makes the output `ceil(time / stride)` long; an odd place goes to the end.
    Same,
    /// All of it before the beginning, so that no output sees what comes later.
    Causal,
    /// Given for each end.
    Explicit {
        /// Places before.
        before: usize,
        /// Places after.
        after: usize,
    },
}

impl Padding {
    /// Cells on each side, `[top, left, bottom, right]`.
    pub(crate) fn edges(
        self,
        sides: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> [usize; 4] {
        match self {
            Padding::Valid => [0; 4],
            Padding::Explicit { top, left, bottom, right } => [top, left, bottom, right],
            Padding::Same => {
                let [rows, columns] = [0, 1].map(|axis| same(sides[axis], kernel[axis], stride[axis], dilation[axis]));
                [rows / 2, columns / 2, rows - rows / 2, columns - columns / 2]
            }
        }
    }
}

impl TimePadding {
    /// Places before and after.
    pub(crate) fn edges(self, time: usize, kernel: usize, stride: usize, dilation: usize) -> [usize; 2] {
        match self {
            TimePadding::Valid => [0; 2],
            TimePadding::Explicit { before, after } => [before, after],
            TimePadding::Causal => [dilation * (kernel - 1), 0],
            TimePadding::Same => {
                let all = same(time, kernel, stride, dilation);
                [all / 2, all - all / 2]
            }
        }
    }

    /// Whether the cells depend on how long the sequence is.
    pub(super) fn depends_on_time(self, stride: usize) -> bool {
        self == TimePadding::Same && stride > 1
    }
}

/// Cells that make the output `ceil(side / stride)` long. Kernel, stride and dilation are at least 1.
fn same(side: usize, kernel: usize, stride: usize, dilation: usize) -> usize {
    let span = dilation * (kernel - 1) + 1;
    ((side.div_ceil(stride).max(1) - 1) * stride + span).saturating_sub(side)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Name(String),
    All(usize),
    Sides(Vec<usize>),
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Padding::Valid => serializer.serialize_str("valid"),
            Padding::Same => serializer.serialize_str("same"),
            Padding::Explicit { top, left, bottom, right } => [top, left, bottom, right].serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Padding, D::Error> {
        const FORMS: &str = "padding is \"valid\", \"same\", a number, [height, width] or [top, left, bottom, right]";
        let explicit = |top, left, bottom, right| Padding::Explicit { top, left, bottom, right };
        match Form::deserialize(deserializer).map_err(|_| D::Error::custom(FORMS))? {
            Form::Name(name) if name == "valid" => Ok(Padding::Valid),
            Form::Name(name) if name == "same" => Ok(Padding::Same),
            Form::All(all) => Ok(explicit(all, all, all, all)),
            Form::Sides(sides) => match sides[..] {
                [height, width] => Ok(explicit(height, width, height, width)),
                [top, left, bottom, right] => Ok(explicit(top, left, bottom, right)),
                _ => Err(D::Error::custom(FORMS)),
            },
            Form::Name(name) => Err(D::Error::custom(format!("{FORMS}, not \"{name}\""))),
        }
    }
}

impl Serialize for TimePadding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            TimePadding::Valid => serializer.serialize_str("valid"),
            TimePadding::Same => serializer.serialize_str("same"),
            TimePadding::Causal => serializer.serialize_str("causal"),
            TimePadding::Explicit { before, after } => [before, after].serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TimePadding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimePadding, D::Error> {
        const FORMS: &str = "padding is \"valid\", \"same\", \"causal\", a number or [before, after]";
        match Form::deserialize(deserializer).map_err(|_| D::Error::custom(FORMS))? {
            Form::Name(name) if name == "valid" => Ok(TimePadding::Valid),
            Form::Name(name) if name == "same" => Ok(TimePadding::Same),
            Form::Name(name) if name == "causal" => Ok(TimePadding::Causal),
            Form::All(all) => Ok(TimePadding::Explicit { before: all, after: all }),
            Form::Sides(sides) => match sides[..] {
                [before, after] => Ok(TimePadding::Explicit { before, after }),
                _ => Err(D::Error::custom(FORMS)),
            },
            Form::Name(name) => Err(D::Error::custom(format!("{FORMS}, not \"{name}\""))),
        }
    }
}

/// One number for both sides of a picture, or two.
pub(super) fn pair<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[usize; 2], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Square(usize),
        Sides([usize; 2]),
    }
    match Form::deserialize(deserializer).map_err(|_| D::Error::custom("expected a number or [height, width]"))? {
        Form::Square(side) => Ok([side; 2]),
        Form::Sides(sides) => Ok(sides),
    }
}

pub(super) fn optional_pair<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[usize; 2]>, D::Error> {
    pair(deserializer).map(Some)
}

pub(super) fn ones() -> [usize; 2] {
    [1; 2]
}
